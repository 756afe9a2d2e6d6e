# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math

import pytest
import torch
from torch import nn
from torchmultimodal.models.vqvae import VQVAE
from torchmultimodal_reid.models.mmet import mmet
from torchmultimodal_reid.models.mmet_pretraining import (
    mmet_for_pretraining,
    multimodal_masking,
)
from torchmultimodal_reid.modules.losses.masked_prediction import (
    MaskedClassificationLoss,
)
from torchmultimodal_reid.modules.masking.patch_masking import (
    BlockPatchMasking,
    RandomPatchMasking,
)

HEADS = {"mim_head", "mlm_head", "mmm_image_head", "mmm_text_head", "itm_head"}


@pytest.fixture
def model(tiny):
    torch.manual_seed(0)
    masking = multimodal_masking(
        vocab_size=20, mask_id=4, special_ids=range(5), patch_ratio=(0.5, 0.5)
    )
    return mmet(**tiny, masking=masking)


class TestMasking:
    def test_arguments_reach_their_parts(self):
        continuation = torch.tensor([False] * 19 + [True])
        masking = multimodal_masking(
            vocab_size=20,
            mask_id=4,
            special_ids=[0, 2],
            continuation=continuation,
            patch_ratio=(0.1, 0.2),
            token_ratio=(0.3, 0.4),
        )
        assert isinstance(masking.patch_masking, BlockPatchMasking)
        assert masking.patch_masking.ratio == (0.1, 0.2)
        tokens = masking.token_masking
        assert tokens.ratio == (0.3, 0.4) and tokens.mask_id == 4
        assert tokens.is_special.nonzero().flatten().tolist() == [0, 2, 4]
        assert torch.equal(tokens.continuation, continuation)

    def test_single_patches(self):
        masking = multimodal_masking(block_wise=False)
        assert isinstance(masking.patch_masking, RandomPatchMasking)

    def test_the_defaults_are_berts_ids(self):
        tokens = multimodal_masking().token_masking
        # [PAD], [UNK], [CLS], [SEP], [MASK]
        assert tokens.is_special.nonzero().flatten().tolist() == [0, *range(100, 104)]
        assert tokens.mask_id == 103 and len(tokens.is_special) == 30522


class TestHeads:
    def test_sizes(self, model):
        pretraining = mmet_for_pretraining(model, vocab_size=20, patch_size=8)
        assert pretraining.mmet is model
        for name, d_model, out in (
            ("mim_head", 16, 192),
            ("mlm_head", 24, 20),
            ("mmm_image_head", 32, 192),
            ("mmm_text_head", 32, 20),
        ):
            assert getattr(pretraining, name).output.weight.shape == (out, d_model)
        assert pretraining.itm_head.weight.shape == (2, 32)
        assert math.isclose(pretraining.logit_scale.item(), 1 / 0.07, rel_tol=1e-5)

    @pytest.mark.parametrize(
        "switch, heads",
        [
            ("mim", {"mim_head"}),
            ("mlm", {"mlm_head"}),
            ("mmm", {"mmm_image_head", "mmm_text_head"}),
            ("itm", {"itm_head"}),
        ],
    )
    def test_each_can_be_left_out(self, model, switch, heads):
        pretraining = mmet_for_pretraining(
            model, vocab_size=20, patch_size=8, **{switch: False}
        )
        gone = {name for name in HEADS if getattr(pretraining, name) is None}
        assert gone == heads
        assert pretraining.image_targets is not None

    def test_pixels_as_they_are(self, model):
        image = torch.rand(2, 3, 32, 16)
        for normalize in (True, False):
            pretraining = mmet_for_pretraining(
                model, vocab_size=20, patch_size=8, normalize_pixels=normalize
            )
            means = pretraining.image_targets(image).mean(dim=-1)
            assert torch.allclose(means, torch.zeros(()), atol=1e-5) == normalize

    def test_no_targets_without_image_heads(self, model):
        pretraining = mmet_for_pretraining(model, vocab_size=20, mim=False, mmm=False)
        assert pretraining.image_targets is None

    def test_the_models_weights_stay(self, model):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        mmet_for_pretraining(model, vocab_size=20, patch_size=8)
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name])


def color_vqvae():
    """A VQVAE of one code for 8 x 8 pixels, whose four codes are black, red, green and blue."""
    vqvae = VQVAE(
        nn.AvgPool2d(8), nn.Upsample(scale_factor=8), num_embeddings=4, embedding_dim=3
    )
    vqvae.codebook.embedding.copy_(torch.cat([torch.zeros(1, 3), torch.eye(3)]))
    return vqvae


class TestCodebook:
    @pytest.fixture
    def pretraining(self, model):
        return mmet_for_pretraining(
            model,
            vocab_size=20,
            patch_size=8,
            codebook=color_vqvae(),
            codebook_size=4,
            codebook_method="encode",
        )

    def test_codes_are_the_targets(self, pretraining):
        codes = torch.tensor([[0, 1], [2, 3], [3, 0], [1, 2]]).expand(2, 4, 2)
        colors = torch.cat([torch.zeros(1, 3), torch.eye(3)])[codes]
        image = nn.functional.interpolate(colors.permute(0, 3, 1, 2), scale_factor=8)
        mask = pretraining.mmet.draw_mask(image)
        output = pretraining.train()(image, mask=mask)
        for masked in (output.mim, output.mmm_image):
            assert torch.equal(masked.target, codes.flatten(1)[mask.masked_patches])
            assert masked.prediction.shape == (8, 4)
            assert MaskedClassificationLoss()(*masked).isfinite()

    def test_the_codebook_stays(self, pretraining):
        before = pretraining.image_targets.codebook.codebook.embedding.clone()
        output = pretraining.train()(torch.rand(2, 3, 32, 16))
        MaskedClassificationLoss()(*output.mim).backward()
        codebook = pretraining.image_targets.codebook
        assert not codebook.training
        assert torch.equal(codebook.codebook.embedding, before)

    def test_a_module_that_returns_indices(self, model):
        pretraining = mmet_for_pretraining(
            model, vocab_size=20, patch_size=8, codebook=Zeros(), codebook_size=4
        )
        output = pretraining(torch.rand(2, 3, 32, 16))
        assert output.mim.target.tolist() == [0] * 8

    def test_resized_for_the_codebook(self, model):
        codebook = Zeros()
        pretraining = mmet_for_pretraining(
            model,
            vocab_size=20,
            patch_size=8,
            codebook=codebook,
            codebook_size=4,
            codebook_scale=0.5,
        )
        with pytest.raises(ValueError, match="gives 2x1 codes .* 4x2 patches"):
            pretraining(torch.rand(2, 3, 32, 16))


class Zeros(nn.Module):
    def forward(self, image):
        shape = (len(image), image.shape[2] // 8, image.shape[3] // 8)
        return torch.zeros(shape, dtype=torch.long)
