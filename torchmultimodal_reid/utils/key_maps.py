# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Names of published weights -> names of ours. Each map takes a whole state dict and gives a whole one."""

import math
import re
from typing import Dict, Optional, Tuple

import torch
from torch import nn, Tensor
from torchmultimodal_reid.utils.errors import CheckpointError

# FLAVA's poolers feed heads that MMET does not have
FLAVA_IGNORED = (
    "image_encoder.pooler.*",
    "text_encoder.pooler.*",
    "mm_encoder.pooler.*",
)

_FLAVA_NAMES = (
    (r"^(image|text|mm)_encoder\.layernorm\.", r"\1_encoder.norm."),
    (r"\.patch_embeddings\.projection\.", r".conv_projection."),
    (r"\.attention\.output\.", r".attention.output_proj."),
    (r"^(image|text)_to_mm_projection\.", r"\1_to_mm."),
)
_QUERY = re.compile(r"\.attention\.query\.(weight|bias)$")

_VIRTEX_NAMES = (
    (r"^visual\.cnn\.", "visual."),
    (r"^textual\.visual_projection\.", "projection."),
    (r"^textual\.embedding\.layer_norm\.", "embedding.norm."),
    (r"^textual\.(embedding|output)\.", r"\1."),
    (r"^textual\.transformer\.", "forward_decoder."),
    (r"^backward_textual\.transformer\.", "backward_decoder."),
    (r"\.self_attn\.in_proj_", ".attention.input_proj."),
    (r"\.self_attn\.out_proj\.", ".attention.output_proj."),
    (r"\.multihead_attn\.out_proj\.", ".cross_attention.output_proj."),
    (r"\.linear1\.", ".feedforward.inner."),
    (r"\.linear2\.", ".feedforward.outer."),
    (r"\.norm1\.", ".attention_norm."),
    (r"\.norm2\.", ".cross_attention_norm."),
    (r"\.norm3\.", ".feedforward_norm."),
)
_VIRTEX_SHARED = re.compile(
    r"^backward_(textual\.(visual_projection|embedding|output)\.)"
)
_VIRTEX_CROSS = re.compile(r"\.multihead_attn\.in_proj_(weight|bias)$")


def virtex_to_vtbr(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """VirTex's bicaptioning or captioning model -> :func:`~torchmultimodal_reid.models.vtbr.vtbr` of the same sizes.

    | VirTex | ours |
    |---|---|
    | ``visual.cnn.*`` | ``visual.*`` |
    | ``textual.visual_projection.*`` | ``projection.*`` |
    | ``textual.embedding.{words,positions,layer_norm}.*`` | ``embedding.{words,positions,norm}.*`` |
    | ``textual.output.*`` | ``output.*`` |
    | ``textual.transformer.*`` | ``forward_decoder.*`` |
    | ``backward_textual.transformer.*`` | ``backward_decoder.*`` |
    | ``backward_textual.{visual_projection,embedding,output}.*`` | left out, being copies of ``textual.*`` |
    | ``layers.N.self_attn.{in_proj_,out_proj.}*`` | ``layers.N.attention.{input_proj,output_proj}.*`` |
    | ``layers.N.multihead_attn.in_proj_*`` | ``layers.N.cross_attention.{query_proj,key_value_proj}.*`` |
    | ``layers.N.multihead_attn.out_proj.*`` | ``layers.N.cross_attention.output_proj.*`` |
    | ``layers.N.linear{1,2}.*`` | ``layers.N.feedforward.{inner,outer}.*`` |
    | ``layers.N.norm{1,2,3}.*`` | ``layers.N.{attention,cross_attention,feedforward}_norm.*`` |

    Args:
        state (Dict[str, Tensor]): The state dict of VirTex's model (https://arxiv.org/abs/2006.06666).

    Returns:
        Dict[str, Tensor]: The same weights under our names; unknown names are kept, for loading to report them.

    Raises:
        CheckpointError: If copies of what VirTex shares differ.
    """
    mapped = {}
    for name, tensor in state.items():
        original = _VIRTEX_SHARED.sub(r"\1", name)
        if name == "textual.output.weight":
            original = "textual.embedding.words.weight"
        if original != name and original in state:
            if not torch.equal(tensor, state[original]):
                raise CheckpointError(
                    f"{name} differs from {original}, but VirTex shares it between them; is it VirTex's model?"
                )
            if _VIRTEX_SHARED.match(name):
                continue
        for pattern, replacement in _VIRTEX_NAMES:
            name = re.sub(pattern, replacement, name)
        if _VIRTEX_CROSS.search(name):
            query, key, value = tensor.chunk(3)
            for part, rows in (
                ("query_proj", query),
                ("key_value_proj", torch.cat([key, value])),
            ):
                mapped[_VIRTEX_CROSS.sub(rf".cross_attention.{part}.\1", name)] = rows
        else:
            mapped[name] = tensor
    return mapped


def flava_to_mmet(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """TorchMultimodal's ``flava_model`` -> :func:`~torchmultimodal_reid.models.mmet.mmet` of the same sizes.

    The three projections of an attention become one, as upstream's ``MultiHeadSelfAttention`` holds them. The poolers
    keep their names; name them as :data:`FLAVA_IGNORED` when loading.

    Args:
        state (Dict[str, Tensor]): The state dict of ``FLAVAModel``.

    Returns:
        Dict[str, Tensor]: The same weights under MMET's names.
    """
    state, mapped = dict(state), {}
    for name in [name for name in state if _QUERY.search(name)]:
        parts = [
            name.replace(".query.", f".{part}.") for part in ("query", "key", "value")
        ]
        if all(part in state for part in parts):  # else loading reports those there are
            tensor = torch.cat([state.pop(part) for part in parts])
            state[_QUERY.sub(r".attention.input_proj.\1", name)] = tensor
    for name, tensor in state.items():
        for pattern, replacement in _FLAVA_NAMES:
            name = re.sub(pattern, replacement, name)
        mapped[name] = tensor
    return mapped


def fit_positions(
    positions: Tensor, grid: Tuple[int, int], interpolate: bool, source: str
) -> Tensor:
    """Published position embeddings of square images for a model's grid: as they are, or interpolated where asked for.

    Args:
        positions (Tensor): Of shape ``(1, 1 + n, d)``, that of [CLS] first. Where ``n`` is no square number they are
            given back, and loading checks their shape.
        grid (Tuple[int, int]): Rows and columns of the model's patches.
        interpolate (bool): Whether those of another grid are interpolated, by :func:`resize_positions`.
        source (str): Whose they are, for the message.

    Raises:
        CheckpointError: If the grid is another and ``interpolate`` is False.
    """
    side = math.isqrt(positions.shape[1] - 1)
    if side**2 != positions.shape[1] - 1 or (side, side) == tuple(grid):
        return positions
    if not interpolate:
        raise CheckpointError(
            f"{source} has positions for {side}x{side} patches, but the model's images have {grid[0]}x{grid[1]}; build "
            f"it for images of {side}x{side} patches, or say interpolate_positions=True"
        )
    return resize_positions(positions, grid)


def resize_positions(
    positions: Tensor,
    grid: Tuple[int, int],
    source_grid: Optional[Tuple[int, int]] = None,
) -> Tensor:
    """Interpolates a vision transformer's position embeddings to another grid of patches.

    Args:
        positions (Tensor): Of shape ``(1, 1 + n, d)``, that of [CLS] first.
        grid (Tuple[int, int]): Rows and columns wanted.
        source_grid (Optional[Tuple[int, int]]): Rows and columns of ``positions``. Default: None, a square.

    Returns:
        Tensor: Of shape ``(1, 1 + grid[0] * grid[1], d)``. [CLS] keeps its own.

    Raises:
        ValueError: If ``positions`` do not fill their grid.
    """
    n, d = positions.shape[1] - 1, positions.shape[2]
    rows, columns = (
        source_grid if source_grid is not None else (int(n**0.5), int(n**0.5))
    )
    if rows * columns != n:
        raise ValueError(
            f"{n} positions do not fill a grid of {rows}x{columns}; give their own grid as source_grid"
        )
    if (rows, columns) == tuple(grid):
        return positions
    patches = positions[:, 1:].reshape(1, rows, columns, d).permute(0, 3, 1, 2)
    patches = nn.functional.interpolate(
        patches, size=grid, mode="bicubic", antialias=True
    )
    return torch.cat([positions[:, :1], patches.flatten(2).transpose(1, 2)], dim=1)
