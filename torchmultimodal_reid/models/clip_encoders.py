# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Builders of CLIP's encoders (https://arxiv.org/abs/2103.00020) as MMET asks for them, out of TorchMultimodal's."""

import warnings
from contextlib import contextmanager
from typing import Any, Iterator, Tuple

import torch
from torch import nn
from torchmultimodal.models.clip.image_encoder import CLIPViTEncoder
from torchmultimodal.models.clip.text_encoder import CLIPTextEncoder
from torchmultimodal_reid.modules.encoders.clip_tokens import (
    CLIPImageTokens,
    CLIPTextTokens,
)


def clip_image_encoder(
    *,
    image_size: Tuple[int, int],
    patch_size: int,
    d_model: int,
    n_layer: int,
    n_head: int,
    quick_gelu: bool = True,
) -> CLIPImageTokens:
    """The image encoder of :func:`~torchmultimodal_reid.models.clip.mmet_clip`, for images of any shape."""
    height, width = image_size
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"image_size {height}x{width} does not divide into patches of {patch_size}; expected multiples of it"
        )
    grid = (height // patch_size, width // patch_size)
    with _without_advice():
        clip = CLIPViTEncoder(
            embedding_dim=1,
            patch_size=patch_size,
            image_size=patch_size,
            width=d_model,
            heads=n_head,
            layers=n_layer,
        )
    del clip.projection  # MMET has its own
    positions = torch.randn(1 + grid[0] * grid[1], d_model) * d_model**-0.5
    clip.positional_embedding = nn.Parameter(positions)
    for layer in clip.encoder.layers:
        # torch copies one layer, so that without this all would begin alike
        for weight in layer.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)
    _set_activation(clip, quick_gelu)
    return CLIPImageTokens(clip, grid)


def clip_text_encoder(
    *,
    vocab_size: int,
    max_length: int,
    d_model: int,
    n_layer: int,
    n_head: int,
    quick_gelu: bool = True,
) -> CLIPTextTokens:
    """The text encoder of :func:`~torchmultimodal_reid.models.clip.mmet_clip`."""
    with _without_advice():
        clip = CLIPTextEncoder(
            embedding_dim=1,
            context_length=max_length,
            vocab_size=vocab_size,
            width=d_model,
            dim_feedforward=4 * d_model,
            heads=n_head,
            layers=n_layer,
        )
    clip.projection = nn.Identity()  # MMET has its own
    _set_activation(clip, quick_gelu)
    return CLIPTextTokens(clip)


def _set_activation(clip: Any, quick_gelu: bool) -> None:
    if quick_gelu:  # upstream's own
        return
    for layer in clip.encoder.layers:
        layer.activation = nn.GELU()


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silences torch's advice on an argument that is upstream's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "enable_nested_tensor is True")
        yield
