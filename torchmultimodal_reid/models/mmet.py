# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Builders of MMET (https://arxiv.org/abs/2304.09498): flat arguments in, wired modules out."""

from typing import Optional, Tuple

from torch import nn
from torchmultimodal.modules.layers.normalizations import Fp32LayerNorm
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.architectures.mmet_reid import MMETForReID
from torchmultimodal_reid.models.mmet_encoders import (
    image_transformer_encoder,
    text_transformer_encoder,
    transformer,
)
from torchmultimodal_reid.modules.encoders.multimodal_encoder import (
    MultimodalTransformerEncoder,
)
from torchmultimodal_reid.modules.layers.bnneck import BNNeck
from torchmultimodal_reid.modules.layers.initialization import (
    initialize_transformer_weights,
    sine_positions,
)


def mmet(
    *,
    image_size: Tuple[int, int] = (256, 128),
    patch_size: int = 16,
    vocab_size: int = 30522,
    max_text_length: int = 77,
    image_d_model: int = 768,
    image_n_layer: int = 12,
    image_n_head: int = 12,
    image_dim_feedforward: int = 3072,
    text_d_model: int = 768,
    text_n_layer: int = 12,
    text_n_head: int = 12,
    text_dim_feedforward: int = 3072,
    mm_d_model: int = 768,
    mm_n_layer: int = 6,
    mm_n_head: int = 12,
    mm_dim_feedforward: int = 3072,
    projection_dim: int = 768,
    image_stem: str = "linear",
    text_stem: str = "linear",
    drop_path: Optional[float] = None,
    layer_norm_eps: float = 1e-12,
    masking: Optional[nn.Module] = None,
) -> MMET:
    """An MMET of any size. The defaults are FLAVA-base's sizes, with person-shaped images.

    Args:
        image_size (Tuple[int, int]): Height and width in pixels, multiples of ``patch_size``. Default: (256, 128).
        patch_size (int): Side of a patch in pixels. Default: 16.
        vocab_size (int): Ids of the tokeniser. Default: 30522, BERT's.
        max_text_length (int): The longest caption in tokens, [CLS] and [SEP] included. Default: 77.
        image_d_model (int), image_n_layer (int), image_n_head (int), image_dim_feedforward (int): Sizes of the image
            encoder. Defaults: 768, 12, 12, 3072.
        text_d_model (int), text_n_layer (int), text_n_head (int), text_dim_feedforward (int): Sizes of the text
            encoder. Defaults: 768, 12, 12, 3072.
        mm_d_model (int), mm_n_layer (int), mm_n_head (int), mm_dim_feedforward (int): Sizes of the multimodal
            encoder; ``mm_d_model`` is the embedding's. Defaults: 768, 6, 12, 3072.
        projection_dim (int): Width of the contrastive space. Default: 768.
        image_stem (str): What makes tokens of patches: "linear", one map a patch, as ViT and FLAVA, or "convolution",
            which learns in fewer steps. Default: "linear".
        text_stem (str): What makes tokens of words: "linear", their embeddings alone, as BERT and FLAVA, or
            "convolution", which also sees the words beside each. Default: "linear".
        drop_path (Optional[float]): Stochastic depth of each encoder's last layer, growing linearly from 0 at the
            first. There is no other dropout: with it, upstream's feed-forward block names its weights otherwise, and
            a checkpoint could not be fine-tuned with another rate than it was pretrained with. Default: None.
        layer_norm_eps (float): Epsilon of all norms. Default: 1e-12.
        masking (Optional[nn.Module]): From :func:`~torchmultimodal_reid.models.mmet_pretraining.multimodal_masking`.
            Default: None, for a model that is not pretrained.

    Returns:
        MMET: With random weights.

    Raises:
        ValueError: If a width is not a multiple of its number of heads, or the image not one of its patches.
    """
    check_heads(
        image=(image_d_model, image_n_head),
        text=(text_d_model, text_n_head),
        mm=(mm_d_model, mm_n_head),
    )
    image_encoder = image_transformer_encoder(
        image_size=image_size,
        patch_size=patch_size,
        d_model=image_d_model,
        n_layer=image_n_layer,
        n_head=image_n_head,
        dim_feedforward=image_dim_feedforward,
        stem=image_stem,
        drop_path=drop_path,
        layer_norm_eps=layer_norm_eps,
    )
    model = MMET(
        image_encoder=image_encoder,
        text_encoder=text_transformer_encoder(
            vocab_size=vocab_size,
            max_length=max_text_length,
            d_model=text_d_model,
            n_layer=text_n_layer,
            n_head=text_n_head,
            dim_feedforward=text_dim_feedforward,
            stem=text_stem,
            drop_path=drop_path,
            layer_norm_eps=layer_norm_eps,
        ),
        mm_encoder=MultimodalTransformerEncoder(
            transformer(
                mm_n_layer,
                mm_d_model,
                mm_n_head,
                mm_dim_feedforward,
                drop_path=drop_path,
                layer_norm_eps=layer_norm_eps,
            ),
            Fp32LayerNorm(mm_d_model, eps=layer_norm_eps),
            mm_d_model,
        ),
        image_to_mm=nn.Linear(image_d_model, mm_d_model),
        text_to_mm=nn.Linear(text_d_model, mm_d_model),
        image_projection=nn.Linear(image_d_model, projection_dim),
        text_projection=nn.Linear(text_d_model, projection_dim),
        masking=masking,
    )
    initialize_transformer_weights(model)
    positions = image_encoder.get_parameter("embeddings.position_embeddings")
    positions.data.copy_(sine_positions(image_encoder.grid, image_d_model))
    return model


def mmet_tiny(
    *,
    image_size: Tuple[int, int] = (256, 128),
    patch_size: int = 16,
    vocab_size: int = 30522,
    max_text_length: int = 77,
    drop_path: Optional[float] = None,
    masking: Optional[nn.Module] = None,
) -> MMET:
    """An MMET for a laptop without a GPU: width 192, 4 + 2 + 1 layers, and stems of convolutions, which learn in fewer
    steps. The arguments are those of :func:`mmet`."""
    return mmet(
        image_size=image_size,
        patch_size=patch_size,
        vocab_size=vocab_size,
        max_text_length=max_text_length,
        image_d_model=192,
        image_n_layer=4,
        image_n_head=3,
        image_dim_feedforward=768,
        text_d_model=192,
        text_n_layer=2,
        text_n_head=3,
        text_dim_feedforward=768,
        mm_d_model=192,
        mm_n_layer=1,
        mm_n_head=3,
        mm_dim_feedforward=768,
        projection_dim=192,
        image_stem="convolution",
        text_stem="convolution",
        drop_path=drop_path,
        masking=masking,
    )


def mmet_small(
    *,
    image_size: Tuple[int, int] = (256, 128),
    patch_size: int = 16,
    vocab_size: int = 30522,
    max_text_length: int = 77,
    drop_path: Optional[float] = None,
    masking: Optional[nn.Module] = None,
) -> MMET:
    """An MMET for one GPU: width 384, 8 + 8 + 4 layers. The arguments are those of :func:`mmet`."""
    return mmet(
        image_size=image_size,
        patch_size=patch_size,
        vocab_size=vocab_size,
        max_text_length=max_text_length,
        image_d_model=384,
        image_n_layer=8,
        image_n_head=6,
        image_dim_feedforward=1536,
        text_d_model=384,
        text_n_layer=8,
        text_n_head=6,
        text_dim_feedforward=1536,
        mm_d_model=384,
        mm_n_layer=4,
        mm_n_head=6,
        mm_dim_feedforward=1536,
        projection_dim=384,
        drop_path=drop_path,
        masking=masking,
    )


def mmet_base(
    *,
    image_size: Tuple[int, int] = (256, 128),
    patch_size: int = 16,
    vocab_size: int = 30522,
    max_text_length: int = 77,
    drop_path: Optional[float] = None,
    masking: Optional[nn.Module] = None,
) -> MMET:
    """FLAVA-base's sizes: width 768, 12 + 12 + 6 layers. The arguments are those of :func:`mmet`."""
    return mmet(
        image_size=image_size,
        patch_size=patch_size,
        vocab_size=vocab_size,
        max_text_length=max_text_length,
        drop_path=drop_path,
        masking=masking,
    )


def mmet_for_reid(
    model: MMET, *, num_identities: int, caption_weight: float = 0.2
) -> MMETForReID:
    """``model`` with a BNNeck for ``num_identities`` training identities.

    Args:
        model (MMET): From one of the builders here, pretrained or not. It is used, not copied.
        num_identities (int): Identities of the training set.
        caption_weight (float): Of the caption's own embedding in a search with an image and a caption. Default: 0.2
    """
    width = model.get_submodule("image_to_mm").get_parameter("weight").shape[0]
    return MMETForReID(model, BNNeck(width, num_identities), caption_weight)


def check_heads(**sizes: Tuple[int, int]) -> None:
    """Raises a ValueError that names the encoder whose width its heads do not divide."""
    for name, (d_model, n_head) in sizes.items():
        if d_model % n_head:
            raise ValueError(
                f"{name}_d_model {d_model} is not a multiple of {name}_n_head {n_head}"
            )
