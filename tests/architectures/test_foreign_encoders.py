# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""MMET takes any encoder that honours the Protocols: here a CNN and a bag of words, which know nothing of it."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.models.mmet import mmet_for_reid, transformer
from torchmultimodal_reid.models.mmet_pretraining import (
    mmet_for_pretraining,
    multimodal_masking,
)
from torchmultimodal_reid.modules.encoders.multimodal_encoder import (
    MultimodalTransformerEncoder,
)
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask
from torchvision.models import resnet18

WIDTH = 24


class ResNetTokens(nn.Module):
    """A CNN as an image encoder: the cells of its last feature map as tokens, their mean first. One cell is a patch
    of 32 x 32 pixels; hidden patches are painted over before the CNN sees them."""

    grid = (2, 1)

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(*list(resnet18().children())[:-2])

    def forward(self, image, masked_patches=None):
        if masked_patches is not None:
            hidden = masked_patches.view(-1, 1, *self.grid)
            hidden = hidden.repeat_interleave(32, 2).repeat_interleave(32, 3)
            image = image.masked_fill(hidden, 0.0)
        patches = self.features(image).flatten(2).transpose(1, 2)
        tokens = torch.cat([patches.mean(dim=1, keepdim=True), patches], dim=1)
        return EncoderOutput(tokens, tokens)


class BagOfWords(nn.Module):
    """A text encoder: each word and the mean of all, which is also the first token."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, WIDTH)

    def forward(self, text, text_padding=None):
        words = self.words(text)
        if text_padding is not None:
            words = words.masked_fill(text_padding.unsqueeze(-1), 0.0)
            mean = words.sum(dim=1) / (~text_padding).sum(dim=1, keepdim=True)
        else:
            mean = words.mean(dim=1)
        tokens = words + mean.unsqueeze(1)
        tokens = torch.cat([mean.unsqueeze(1), tokens[:, 1:]], dim=1)
        return EncoderOutput(tokens, tokens)


@pytest.fixture
def model():
    torch.manual_seed(0)
    masking = multimodal_masking(
        vocab_size=20, mask_id=4, special_ids=range(5), patch_ratio=(0.5, 0.5)
    )
    return MMET(
        image_encoder=ResNetTokens(),
        text_encoder=BagOfWords(),
        mm_encoder=MultimodalTransformerEncoder(
            transformer(1, 16, 2, 32), nn.LayerNorm(16), 16
        ),
        image_to_mm=nn.Linear(512, 16),
        text_to_mm=nn.Linear(WIDTH, 16),
        image_projection=nn.Linear(512, 8),
        text_projection=nn.Linear(WIDTH, 8),
        masking=masking,
    )


@pytest.fixture
def image():
    return torch.randn(4, 3, 64, 32, generator=torch.Generator().manual_seed(2))


def test_the_three_kinds_of_input(model, image, pairs):
    model.eval()
    for given, n_token in (
        ((image,), 1 + 3),
        ((None, *pairs[1:3]), 1 + 7),
        ((image, *pairs[1:3]), 1 + 3 + 7),
    ):
        assert model(*given).multimodal.shape == (4, n_token, 16)


def test_hidden_patches_are_not_seen(model, image):
    model.eval()
    mask = MultimodalMask(torch.tensor([[True, False]]).expand(4, 2))
    other = torch.cat([torch.randn(4, 3, 32, 32), image[:, :, 32:]], dim=2)
    assert_close(model(other, mask=mask), model(image, mask=mask), rtol=0, atol=0)


def test_pretraining_reaches_every_parameter(model, image, pairs):
    pretraining = mmet_for_pretraining(model, vocab_size=20, patch_size=32)
    output = pretraining(image, *pairs[1:], generator=torch.Generator().manual_seed(0))
    assert output.mim.prediction.shape == (4, 3 * 32 * 32)
    loss = output.logit_scale
    for masked in (output.mim, output.mlm, output.mmm_image, output.mmm_text):
        loss = loss + masked.prediction.square().sum()
    loss = loss + output.itm.logits.square().sum()
    loss = loss + (output.image_embedding * output.text_embedding).sum()
    loss.backward()
    assert without_gradient(pretraining) == set()


def test_reid_reaches_every_parameter(model, image, pairs):
    reid = mmet_for_reid(model, num_identities=3)
    output = reid(image, *pairs[1:3])
    sum(
        nn.functional.cross_entropy(neck.logits, pairs.identity) for neck in output
    ).backward()
    # the projections are the contrastive loss's, and the bias is frozen
    assert without_gradient(reid) == {
        f"mmet.{modality}_projection.{name}"
        for modality in ("image", "text")
        for name in ("weight", "bias")
    } | {"neck.norm.bias"}


def without_gradient(model):
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
