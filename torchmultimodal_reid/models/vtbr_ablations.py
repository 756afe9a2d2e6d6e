# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The ablations of VTBR and VirTex by their names, and the builders of the tasks that need another model.

Reference: https://arxiv.org/abs/2110.05074 and https://arxiv.org/abs/2006.06666. A name is the task, the backbone
(R50, R50 twice as wide, R101), the layers (L) and the width (H); a head is 64 wide and the feed-forward block four
times the width.
"""

from typing import Any, Callable, Dict, NamedTuple, Tuple

from torch import nn
from torchmultimodal_reid.architectures.caption_tasks import (
    MaskedCaptionModel,
    TokenClassifier,
)
from torchmultimodal_reid.models.vtbr import (
    caption_decoder,
    check_image_size,
    cnn_grid,
    initialize_text_weights,
    text_ends,
    vtbr,
)


def vtbr_masked_lm(
    *,
    image_size: Tuple[int, int] = (256, 128),
    vocab_size: int = 10000,
    max_text_length: int = 40,
    backbone: str = "resnet50",
    d_model: int = 2048,
    n_layer: int = 1,
    n_head: int = 32,
    dim_feedforward: int = 8192,
    dropout: float = 0.1,
    norm_first: bool = False,
) -> MaskedCaptionModel:
    """Masked language modelling with an image. The arguments are those of :func:`~.vtbr.vtbr`."""
    check_image_size(image_size)
    visual = cnn_grid(backbone)
    projection, embedding, output = text_ends(
        visual.out_channels, vocab_size, max_text_length, d_model, dropout
    )
    decoder = caption_decoder(
        d_model=d_model,
        n_layer=n_layer,
        n_head=n_head,
        dim_feedforward=dim_feedforward,
        dropout=dropout,
        norm_first=norm_first,
        causal=False,
    )
    return MaskedCaptionModel(visual, projection, embedding, decoder, output)


def vtbr_token_classification(
    *,
    image_size: Tuple[int, int] = (256, 128),
    vocab_size: int = 10000,
    max_text_length: int = 40,
    backbone: str = "resnet50",
) -> TokenClassifier:
    """Classification of images by the words of their captions. The arguments are those of :func:`~.vtbr.vtbr`."""
    check_image_size(image_size)
    visual = cnn_grid(backbone)
    output = nn.Linear(visual.out_channels, vocab_size)
    initialize_text_weights(output)
    return TokenClassifier(visual, output)


class Ablation(NamedTuple):
    """A builder and what of its arguments the ablation sets."""

    builder: Callable[..., nn.Module]
    arguments: Dict[str, Any]


def _text(d_model: int, n_layer: int = 1) -> Dict[str, Any]:
    return {
        "d_model": d_model,
        "n_layer": n_layer,
        "n_head": d_model // 64,
        "dim_feedforward": 4 * d_model,
    }


ABLATIONS: Dict[str, Ablation] = {
    # width
    "bicaptioning_r50_l1_h512": Ablation(vtbr, _text(512)),
    "bicaptioning_r50_l1_h768": Ablation(vtbr, _text(768)),
    "bicaptioning_r50_l1_h1024": Ablation(vtbr, _text(1024)),
    "bicaptioning_r50_l1_h2048": Ablation(vtbr, _text(2048)),
    # depth
    "bicaptioning_r50_l2_h1024": Ablation(vtbr, _text(1024, n_layer=2)),
    "bicaptioning_r50_l3_h1024": Ablation(vtbr, _text(1024, n_layer=3)),
    "bicaptioning_r50_l4_h1024": Ablation(vtbr, _text(1024, n_layer=4)),
    # backbone
    "bicaptioning_r50w2x_l1_h1024": Ablation(
        vtbr, {**_text(1024), "backbone": "wide_resnet50_2"}
    ),
    "bicaptioning_r101_l1_h1024": Ablation(
        vtbr, {**_text(1024), "backbone": "resnet101"}
    ),
    # task
    "captioning_r50_l1_h2048": Ablation(vtbr, {**_text(2048), "backward": False}),
    "masked_lm_r50_l1_h2048": Ablation(vtbr_masked_lm, _text(2048)),
    "token_classification_r50": Ablation(vtbr_token_classification, {}),
}


def vtbr_ablation(
    name: str,
    *,
    image_size: Tuple[int, int] = (256, 128),
    vocab_size: int = 10000,
    max_text_length: int = 40,
) -> nn.Module:
    """The model of an ablation, with random weights.

    Args:
        name (str): A key of :data:`ABLATIONS`.
        image_size (Tuple[int, int]), vocab_size (int), max_text_length (int): See :func:`~.vtbr.vtbr`.

    Raises:
        ValueError: If there is no such ablation.
    """
    if name not in ABLATIONS:
        raise ValueError(
            f"unknown ablation {name!r}, expected one of {', '.join(ABLATIONS)}"
        )
    builder, arguments = ABLATIONS[name]
    return builder(
        image_size=image_size,
        vocab_size=vocab_size,
        max_text_length=max_text_length,
        **arguments,
    )
