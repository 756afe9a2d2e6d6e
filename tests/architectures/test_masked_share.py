# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch.testing import assert_close
from torchmultimodal_reid.modules.masking.row_draws import RowDraws


def seed():
    return torch.Generator().manual_seed(0)


def test_the_masked_stream_sees_a_share_and_the_contrast_all(build_pretraining, pairs):
    whole, half = build_pretraining(), build_pretraining(masked_share=0.5)
    output = half.eval()(*pairs, generator=seed())
    seen = [part[[0, 2]] for part in pairs]
    expected = whole.eval()(*seen, generator=seed())
    for name in ("mim", "mlm", "mmm_image", "mmm_text"):
        assert_close(getattr(output, name), getattr(expected, name))
    everything = whole(*pairs, generator=seed())
    assert_close(output.image_embedding, everything.image_embedding)
    assert_close(output.text_embedding, everything.text_embedding)


def test_matching_takes_its_negatives_from_the_share(build_pretraining, pairs):
    itm = build_pretraining(masked_share=0.5)(*pairs, generator=seed()).itm
    assert itm.is_match.tolist() == [True, True, False, False]


def test_one_sample_at_least(build_pretraining, pairs):
    model = build_pretraining(masked_share=0.01, ratio=0.5)
    assert len(model(*pairs, generator=seed()).mim.prediction) == 4  # of 8 patches


def test_images_alone(build_pretraining, pairs):
    model = build_pretraining(masked_share=0.5, ratio=0.5)
    output = model(pairs.image, generator=seed())
    assert len(output.mim.prediction) == 2 * 4 and output.image_embedding is None


def test_a_given_mask_is_for_all(build_pretraining, pairs):
    model = build_pretraining(masked_share=0.5, ratio=0.5)
    mask = model.mmet.draw_mask(pairs.image, pairs.text, seed())
    output = model(*pairs, mask=mask, generator=seed())
    assert len(output.mim.prediction) == 4 * 4
    assert len(output.itm.logits) == 8


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_mask_can_be_known_before(share, build_pretraining, pairs):
    model = build_pretraining(masked_share=share).eval()
    draws = lambda: RowDraws(3, torch.arange(4))
    mask = model.draw_mask(pairs.image, pairs.text, draws())
    expected = model(*pairs, generator=draws())
    assert mask.masked_patches.sum() == len(expected.mim.target)
    shown = pairs.text[:: round(1 / share)]
    assert torch.equal(shown[mask.masked_tokens], expected.mlm.target)
    assert model.draw_mask(text=pairs.text, generator=draws()).masked_patches is None


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_no_share(build_pretraining, share):
    with pytest.raises(ValueError, match=rf"in \(0, 1\], got {share}"):
        build_pretraining(masked_share=share)


def test_a_contrast_that_the_stream_does_not_see(build_pretraining):
    with pytest.raises(ValueError, match="contrast of the whole batch from the masked"):
        build_pretraining(masked_share=0.5, contrast_masked=True)
