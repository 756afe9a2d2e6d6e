# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The pairs that pretraining steps are compared on, and the sizes of the models."""

from typing import NamedTuple, Optional

import torch
from torch import nn, Tensor
from torchmultimodal_reid.models.mmet_pretraining import multimodal_masking
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask

VOCAB, CODES, PATCH = 30522, 8192, 16
CLS, SEP, MASK, FIRST_WORD = 101, 102, 103, 1000


class Size(NamedTuple):
    """Of the models and of their batches."""

    width: int = 384
    image_layers: int = 8
    text_layers: int = 8
    mm_layers: int = 4
    heads: int = 6
    pixels: int = 224
    words: int = 40
    padded: int = 77  # FLAVA's captions; MMET's are as long as the batch's longest
    batch: int = 8
    patch_ratio: float = 0.38
    token_ratio: float = 0.15
    negatives: float = 0.1  # share of wrong pairs for image-text matching


class Batch(NamedTuple):
    image: Tensor  # (b, 3, h, w)
    text: Tensor  # (b, words + 2)
    mask: MultimodalMask
    codes: Tensor  # (b, n), as a codebook would give them: its own time is left out
    padding: Optional[Tensor] = None  # (b, words + 2), bool, True at padding


def make_batch(size: Size, device: torch.device) -> Batch:
    """Random pixels, words and codes; what is masked is the same for all."""
    generator = torch.Generator().manual_seed(0)
    shape = (size.batch, size.words)
    words = torch.randint(FIRST_WORD, VOCAB, shape, generator=generator)
    first = torch.full((size.batch, 1), CLS)
    text = torch.cat([first, words, torch.full_like(first, SEP)], dim=1)
    side = size.pixels // PATCH
    ratios = [(share, share) for share in (size.patch_ratio, size.token_ratio)]
    masking = multimodal_masking(patch_ratio=ratios[0], token_ratio=ratios[1])
    mask = masking((side, side), text, generator=generator)
    image = torch.randn(size.batch, 3, size.pixels, size.pixels, generator=generator)
    codes = torch.randint(CODES, (size.batch, side**2), generator=generator)
    return Batch(
        image.to(device),
        text.to(device),
        MultimodalMask(*(part.to(device) for part in mask)),
        codes.to(device),
    )


def pad_captions(batch: Batch, length: int) -> Batch:
    """The same pairs, with captions of ``length`` tokens."""
    more = (0, length - batch.text.shape[1])
    words, masked_text = (
        None if part is None else nn.functional.pad(part, more)
        for part in batch.mask[1:]
    )
    text = nn.functional.pad(batch.text, more)
    return batch._replace(
        text=text,
        mask=MultimodalMask(batch.mask.masked_patches, words, masked_text),
        padding=text == 0,
    )
