# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, Callable, NamedTuple

import pytest
import torch
from torch import nn, Tensor
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.architectures.mmet_pretraining import MMETForPretraining
from torchmultimodal_reid.models.mmet import mmet
from torchmultimodal_reid.models.mmet_pretraining import (
    mmet_for_pretraining,
    multimodal_masking,
)
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput

VOCAB, PATCH = 20, 8
PAD, MASK, SPECIAL = 0, 4, range(5)


class Pairs(NamedTuple):
    image: Tensor  # shape: (4, 3, 32, 16), 4 x 2 patches of 8 pixels
    text: Tensor  # shape: (4, 7)
    text_padding: Tensor  # shape: (4, 7), True at padding
    identity: Tensor  # shape: (4,), two images of one person


@pytest.fixture
def pairs() -> Pairs:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(4, 3, 32, 16, generator=generator)
    text = torch.randint(5, VOCAB, (4, 7), generator=generator)
    text_padding = torch.arange(7) >= torch.tensor([[7], [5], [4], [6]])
    return Pairs(
        image,
        text.masked_fill(text_padding, PAD),
        text_padding,
        torch.tensor([0, 0, 1, 2]),
    )


@pytest.fixture
def build_mmet() -> Callable[..., MMET]:
    """A tiny MMET; arguments of ``mmet`` may be changed."""

    def build(**changed: Any) -> MMET:
        torch.manual_seed(0)
        sizes = {"projection_dim": 8, "vocab_size": VOCAB, "max_text_length": 12}
        for part, d_model in (("image", 16), ("text", 24), ("mm", 32)):
            sizes[f"{part}_d_model"] = d_model
            sizes[f"{part}_n_layer"] = 2
            sizes[f"{part}_n_head"] = 4
            sizes[f"{part}_dim_feedforward"] = 32
        arguments = {"image_size": (32, 16), "patch_size": PATCH, **sizes, **changed}
        return shake(mmet(**arguments))

    return build


@pytest.fixture
def build_pretraining(
    build_mmet: Callable[..., MMET],
) -> Callable[..., MMETForPretraining]:
    """A tiny MMET with its heads, that masks half of the patches and words; arguments of the builder may be changed."""

    def build(ratio: float = 0.5, **changed: Any) -> MMETForPretraining:
        masking = multimodal_masking(
            vocab_size=VOCAB,
            mask_id=MASK,
            special_ids=SPECIAL,
            patch_ratio=(ratio, ratio),
            token_ratio=(ratio, ratio),
        )
        model = build_mmet(masking=masking)
        arguments = {"vocab_size": VOCAB, "patch_size": PATCH, **changed}
        return shake(mmet_for_pretraining(model, **arguments))

    return build


def shake(model: nn.Module) -> nn.Module:
    """Adds noise to all parameters, since biases and tokens that are zero at first would prove nothing."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


class MeanColors(nn.Module):
    """An image encoder for closed forms: each token is the mean colour of the image, a hidden patch's is 0."""

    grid = (2, 1)

    def forward(self, image, masked_patches=None):
        tokens = image.mean(dim=(2, 3)).unsqueeze(1).repeat(1, 3, 1)
        if masked_patches is not None:
            tokens[:, 1:] = tokens[:, 1:].masked_fill(masked_patches.unsqueeze(-1), 0.0)
        return EncoderOutput(tokens, tokens)


class WordTable(nn.Module):
    """A text encoder for closed forms: each token is its id three times, the first is the last word."""

    def forward(self, text, text_padding=None):
        if text_padding is None:
            text_padding = torch.zeros_like(text, dtype=torch.bool)
        last = text.gather(1, (~text_padding).sum(dim=1, keepdim=True) - 1)
        tokens = torch.cat([last, text[:, 1:]], dim=1).float()
        tokens = tokens.unsqueeze(-1).repeat(1, 1, 3)
        return EncoderOutput(tokens, tokens)


class Concatenate(nn.Module):
    """A multimodal encoder for closed forms: its tokens as they come; [CLS_M] is the first image channel, the first
    text channel and the number of padded tokens."""

    num_image = 3

    def forward(self, tokens, padding=None):
        padded = tokens.new_zeros(len(tokens))
        if padding is not None:
            padded = padding.sum(dim=1).to(tokens.dtype)
        first_text = tokens[:, self.num_image % tokens.shape[1]]
        cls = torch.stack([tokens[:, 0, 0], first_text[:, 0], padded], dim=1)
        return torch.cat([cls.unsqueeze(1), tokens], dim=1)


@pytest.fixture
def closed_form_mmet() -> MMET:
    """An MMET whose every output can be told by hand."""
    same = [nn.Identity() for _ in range(4)]
    return MMET(MeanColors(), WordTable(), Concatenate(), *same)
