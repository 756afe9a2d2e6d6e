# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Names of published weights -> names of ours. Each map takes a whole state dict and gives a whole one."""

import re
from typing import Dict, Optional, Tuple

import torch
from torch import nn, Tensor

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
