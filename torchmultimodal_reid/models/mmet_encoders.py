# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Builders of MMET's encoders, out of TorchMultimodal's layers."""

from typing import Optional, Tuple

from torch import nn
from torchmultimodal.modules.layers.normalizations import Fp32LayerNorm
from torchmultimodal.modules.layers.patch_embedding import PatchEmbeddings
from torchmultimodal.modules.layers.text_embedding import BERTTextEmbeddings
from torchmultimodal.modules.layers.transformer import TransformerEncoder
from torchmultimodal_reid.modules.encoders.image_encoder import ImageTransformerEncoder
from torchmultimodal_reid.modules.encoders.text_encoder import TextTransformerEncoder
from torchmultimodal_reid.modules.layers.convolution_stem import (
    ConvolutionPatchEmbeddings,
    ConvolutionTextEmbeddings,
)


def image_transformer_encoder(
    *,
    image_size: Tuple[int, int],
    patch_size: int,
    d_model: int,
    n_layer: int,
    n_head: int,
    dim_feedforward: int,
    stem: str = "linear",
    drop_path: Optional[float] = None,
    layer_norm_eps: float = 1e-12,
) -> ImageTransformerEncoder:
    """The image encoder of :func:`~torchmultimodal_reid.models.mmet.mmet`."""
    check_stem("image_stem", stem)
    height, width = image_size
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"image_size {height}x{width} does not divide into patches of {patch_size}; expected multiples of it"
        )
    embeddings: nn.Module
    if stem == "convolution":
        embeddings = ConvolutionPatchEmbeddings((height, width), patch_size, d_model)
    else:
        embeddings = PatchEmbeddings(
            image_size=(height, width),
            patch_size=patch_size,
            hidden_size=d_model,
            use_image_masking=True,
        )
    return ImageTransformerEncoder(
        embeddings,
        transformer(
            n_layer,
            d_model,
            n_head,
            dim_feedforward,
            drop_path=drop_path,
            layer_norm_eps=layer_norm_eps,
        ),
        Fp32LayerNorm(d_model, eps=layer_norm_eps),
        grid=(height // patch_size, width // patch_size),
    )


def text_transformer_encoder(
    *,
    vocab_size: int,
    max_length: int,
    d_model: int,
    n_layer: int,
    n_head: int,
    dim_feedforward: int,
    stem: str = "linear",
    drop_path: Optional[float] = None,
    layer_norm_eps: float = 1e-12,
    norm_first: bool = True,
) -> TextTransformerEncoder:
    """The text encoder of :func:`~torchmultimodal_reid.models.mmet.mmet`. Padding is id 0, as in BERT's vocabulary.

    With ``norm_first`` it is FLAVA's, whose last layer is followed by a norm; without it BERT's, whose is not.
    """
    check_stem("text_stem", stem)
    embeddings: nn.Module = BERTTextEmbeddings(
        hidden_size=d_model,
        vocab_size=vocab_size,
        max_position_embeddings=max_length,
        layer_norm_eps=layer_norm_eps,
    )
    if stem == "convolution":
        embeddings = ConvolutionTextEmbeddings(embeddings, d_model)
    return TextTransformerEncoder(
        embeddings,
        transformer(
            n_layer,
            d_model,
            n_head,
            dim_feedforward,
            drop_path=drop_path,
            layer_norm_eps=layer_norm_eps,
            norm_first=norm_first,
        ),
        Fp32LayerNorm(d_model, eps=layer_norm_eps) if norm_first else nn.Identity(),
        max_length=max_length,
    )


def transformer(
    n_layer: int,
    d_model: int,
    n_head: int,
    dim_feedforward: int,
    *,
    drop_path: Optional[float] = None,
    layer_norm_eps: float = 1e-12,
    norm_first: bool = True,
) -> TransformerEncoder:
    """TorchMultimodal's transformer with GELU, whose attention is ``scaled_dot_product_attention``; pre-norm if not
    said otherwise."""
    return TransformerEncoder(
        n_layer=n_layer,
        d_model=d_model,
        n_head=n_head,
        dim_feedforward=dim_feedforward,
        activation=nn.GELU,
        layer_norm_eps=layer_norm_eps,
        norm_first=norm_first,
        drop_path_rate=drop_path,
    )


def check_stem(name: str, stem: str) -> None:
    """Raises a ValueError unless ``stem`` is one that there is."""
    if stem not in ("linear", "convolution"):
        raise ValueError(f"{name} must be 'linear' or 'convolution', got {stem!r}")
