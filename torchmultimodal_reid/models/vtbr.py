# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Builders of VTBR (https://arxiv.org/abs/2110.05074, after VirTex, https://arxiv.org/abs/2006.06666)."""

from typing import Dict, Tuple

from torch import nn, Tensor
from torchmultimodal.modules.layers.normalizations import Fp32LayerNorm
from torchmultimodal_reid.architectures.captioner import BidirectionalCaptioner
from torchmultimodal_reid.modules.decoders.caption_decoder import CaptionDecoder
from torchmultimodal_reid.modules.encoders.cnn_grid import CNNGrid
from torchmultimodal_reid.modules.layers.caption_decoder_layer import (
    CaptionDecoderLayer,
)
from torchmultimodal_reid.modules.layers.depthwise import (
    use_float32_where_depthwise_is_slow,
)
from torchmultimodal_reid.modules.layers.word_and_position_embedding import (
    WordAndPositionEmbedding,
)
from torchmultimodal_reid.utils.key_maps import virtex_to_vtbr
from torchmultimodal_reid.utils.state_dict import load_state_dict, LoadReport
from torchvision.models import get_model, list_models
from torchvision.models.resnet import BasicBlock, Bottleneck


def vtbr(
    *,
    image_size: Tuple[int, int] = (256, 128),
    vocab_size: int = 10000,
    max_text_length: int = 40,
    backbone: str = "resnet50",
    d_model: int = 1024,
    n_layer: int = 1,
    n_head: int = 16,
    dim_feedforward: int = 4096,
    dropout: float = 0.1,
    norm_first: bool = False,
    backward: bool = True,
) -> BidirectionalCaptioner:
    """A captioner of any size. The defaults are the paper's base setting, ``R_50_L1_H1024``.

    Args:
        image_size (Tuple[int, int]): Height and width in pixels, of the images it learns from. No weight depends on
            it. Default: (256, 128).
        vocab_size (int): Ids of the tokeniser, [PAD] being 0. Default: 10000.
        max_text_length (int): The longest caption in tokens, [CLS] and [SEP] included. Default: 40.
        backbone (str): A CNN of torchvision by its name; see
            :class:`~torchmultimodal_reid.modules.encoders.cnn_grid.CNNGrid`. Its weights are random.
            Default: "resnet50".
        d_model (int), n_layer (int), n_head (int), dim_feedforward (int): Sizes of each decoder.
            Defaults: 1024, 1, 16, 4096.
        dropout (float): Of the embedding and the decoders. Default: 0.1.
        norm_first (bool): Norms before the blocks instead of after. Default: False.
        backward (bool): Write captions from right to left too. Default: True.

    Returns:
        BidirectionalCaptioner: With random weights. ``visual`` has the state dict of torchvision's CNN, less its head.

    Raises:
        ValueError: If the backbone is unknown or has no feature map, the images are smaller than one of its cells, or
            ``n_head`` does not divide ``d_model``.
    """
    check_image_size(image_size)
    visual = cnn_grid(backbone)
    projection, embedding, output = text_ends(
        visual.out_channels, vocab_size, max_text_length, d_model, dropout
    )
    forward_decoder, backward_decoder = (
        caption_decoder(
            d_model=d_model,
            n_layer=n_layer,
            n_head=n_head,
            dim_feedforward=dim_feedforward,
            dropout=dropout,
            norm_first=norm_first,
        )
        for _ in range(2)
    )
    return BidirectionalCaptioner(
        visual,
        projection,
        embedding,
        forward_decoder,
        backward_decoder if backward else None,
        output,
    )


def vtbr_r18(
    *,
    image_size: Tuple[int, int] = (256, 128),
    vocab_size: int = 10000,
    max_text_length: int = 40,
    dropout: float = 0.1,
    norm_first: bool = False,
    backward: bool = True,
) -> BidirectionalCaptioner:
    """A captioner for a laptop without a GPU: ResNet-18, 1 layer, 256 wide. The arguments are those of :func:`vtbr`."""
    return vtbr(
        image_size=image_size,
        vocab_size=vocab_size,
        max_text_length=max_text_length,
        backbone="resnet18",
        d_model=256,
        n_head=4,
        dim_feedforward=1024,
        dropout=dropout,
        norm_first=norm_first,
        backward=backward,
    )


def vtbr_r50(
    *,
    image_size: Tuple[int, int] = (256, 128),
    vocab_size: int = 10000,
    max_text_length: int = 40,
    dropout: float = 0.1,
    norm_first: bool = False,
    backward: bool = True,
) -> BidirectionalCaptioner:
    """The paper's base setting ``R_50_L1_H1024``. The arguments are those of :func:`vtbr`."""
    return vtbr(
        image_size=image_size,
        vocab_size=vocab_size,
        max_text_length=max_text_length,
        dropout=dropout,
        norm_first=norm_first,
        backward=backward,
    )


def load_virtex(model: BidirectionalCaptioner, state: Dict[str, Tensor]) -> LoadReport:
    """Loads the state dict of VirTex's bicaptioning or captioning model into one of the same sizes, strictly.

    Its SentencePiece vocabulary has other ids than ours: padding and unknown words 0, start 1, end 2, mask 3.

    Args:
        model (BidirectionalCaptioner): Is filled in place.
        state (Dict[str, Tensor]): Entry ``"model"`` of the checkpoints that VirTex publishes.

    Raises:
        CheckpointError: If anything is missing, unexpected or of another shape, or copies of what VirTex shares differ.
    """
    return load_state_dict(
        model, state, key_map=virtex_to_vtbr, source="VirTex's weights"
    )


def cnn_grid(backbone: str) -> CNNGrid:
    """The feature map of torchvision's CNN ``backbone``, with random weights."""
    if backbone not in list_models():
        raise ValueError(
            f"torchvision has no model {backbone!r}, expected one such as resnet18, resnet50 or mobilenet_v2"
        )
    cnn = get_model(backbone, weights=None)
    # as VirTex has it: each residual block starts as the identity (https://arxiv.org/abs/1706.02677)
    for block in cnn.modules():
        if isinstance(block, Bottleneck):
            nn.init.zeros_(block.bn3.weight)
        elif isinstance(block, BasicBlock):
            nn.init.zeros_(block.bn2.weight)
    use_float32_where_depthwise_is_slow(cnn)
    return CNNGrid(cnn)


def text_ends(
    channels: int, vocab_size: int, max_text_length: int, d_model: int, dropout: float
) -> Tuple[nn.Linear, WordAndPositionEmbedding, nn.Linear]:
    """Projection of the grid, embedding, and the output layer, whose weight is the embedding's."""
    projection = nn.Linear(channels, d_model)
    embedding = WordAndPositionEmbedding(vocab_size, max_text_length, d_model, dropout)
    output = nn.Linear(d_model, vocab_size)
    output.weight = embedding.words.weight
    # the embedding last, whose word of padding is zero in the tied weight
    for part in (projection, output, embedding):
        initialize_text_weights(part)
    return projection, embedding, output


def caption_decoder(
    *,
    d_model: int,
    n_layer: int,
    n_head: int,
    dim_feedforward: int,
    dropout: float = 0.1,
    norm_first: bool = False,
    causal: bool = True,
) -> CaptionDecoder:
    """One direction of :func:`vtbr`."""
    decoder = CaptionDecoder(
        [
            CaptionDecoderLayer(d_model, n_head, dim_feedforward, dropout, norm_first)
            for _ in range(n_layer)
        ],
        Fp32LayerNorm(d_model) if norm_first else None,
        causal,
    )
    initialize_text_weights(decoder)
    return decoder


def initialize_text_weights(module: nn.Module) -> None:
    """Initial weights of VirTex's textual head, in place: drawn with the deviation 0.02, biases and padding zero."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.02)
            nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.02)
            if part.padding_idx is not None:
                nn.init.zeros_(part.weight[part.padding_idx].detach())


def check_image_size(image_size: Tuple[int, int]) -> None:
    """Raises a ValueError unless the feature map, a 32nd of the image a side, has a cell."""
    if min(image_size) < 32:
        raise ValueError(
            f"image_size must be (height, width) of at least 32 pixels each, got {tuple(image_size)}"
        )
