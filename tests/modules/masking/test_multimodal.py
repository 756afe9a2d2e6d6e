# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.modules.masking.multimodal import MaskedMultimodalModeling
from torchmultimodal_reid.modules.masking.patch_masking import (
    BlockPatchMasking,
    RandomPatchMasking,
)
from torchmultimodal_reid.modules.masking.token_masking import TokenMasking


@pytest.fixture
def text():
    return torch.tensor([[1, 5, 6, 7, 2], [1, 8, 2, 0, 0]])


@pytest.fixture
def tokens():
    return TokenMasking(10, mask_id=3, special_ids=[0, 1, 2], ratio=(0.2, 0.8))


def test_pairs(text, tokens):
    masking = MaskedMultimodalModeling(BlockPatchMasking(0.25), tokens)
    mask = masking((8, 4), text, generator=torch.Generator().manual_seed(0))
    assert mask.masked_patches.sum(dim=1).tolist() == [8, 8]
    assert mask.masked_tokens.shape == mask.masked_text.shape == text.shape
    assert mask.masked_tokens[1].tolist() == [False, True, False, False, False]


def test_images_alone(tokens):
    masking = MaskedMultimodalModeling(BlockPatchMasking(0.25), tokens)
    mask = masking((8, 4), batch_size=3)
    assert mask.masked_patches.shape == (3, 32)
    assert mask.masked_tokens is None and mask.masked_text is None


def test_captions_alone(text, tokens):
    masking = MaskedMultimodalModeling(BlockPatchMasking(0.25), tokens)
    mask = masking(text=text)
    assert mask.masked_patches is None
    assert mask.masked_tokens.shape == text.shape


def test_an_absent_half_leaves_its_modality_whole(text, tokens):
    mask = MaskedMultimodalModeling(RandomPatchMasking(0.25))((8, 4), text)
    assert mask.masked_patches is not None
    assert mask.masked_tokens is None and mask.masked_text is None
    mask = MaskedMultimodalModeling(token_masking=tokens)((8, 4), text)
    assert mask.masked_patches is None and mask.masked_tokens is not None
    assert MaskedMultimodalModeling()((8, 4), text) == (None, None, None)


def test_each_step_draws_its_own_ratio(text, tokens):
    masking = MaskedMultimodalModeling(RandomPatchMasking((0.1, 0.9)), tokens)
    generator = torch.Generator().manual_seed(0)
    steps = [masking((8, 4), text, generator=generator) for _ in range(50)]
    assert len({step.masked_patches[0].sum().item() for step in steps}) > 10
    assert {step.masked_tokens[0].sum().item() for step in steps} == {1, 2}


def test_is_a_function_of_the_generator(text, tokens):
    masking = MaskedMultimodalModeling(BlockPatchMasking(), tokens)
    first, again = (
        masking((16, 8), text, generator=torch.Generator().manual_seed(4))
        for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again))


def test_number_of_samples(text, tokens):
    masking = MaskedMultimodalModeling(BlockPatchMasking(), tokens)
    with pytest.raises(ValueError, match="batch_size is 3 but text has 2 rows"):
        masking((8, 4), text, batch_size=3)
    with pytest.raises(
        ValueError, match=r"grid \(8, 4\) but neither text nor batch_size"
    ):
        masking((8, 4))
