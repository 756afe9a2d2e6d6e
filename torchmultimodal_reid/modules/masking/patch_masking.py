# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math
from typing import Optional, Tuple, Union

import torch
from torch import nn, Tensor
from torchmultimodal_reid.modules.masking.draws import (
    draw_ratio,
    Draws,
    Ratio,
    ratio_range,
    uniform,
    uniform_integers,
)

# so many blocks cover any usual ratio; a last one, the whole grid, makes certain
NUM_CANDIDATES = 16


class RandomPatchMasking(nn.Module):
    """Masks patches chosen uniformly at random, the same number in every sample of the batch.

    Reference: https://arxiv.org/abs/2111.06377.

    Args:
        ratio (Union[float, Sequence[float]]): Share of the patches to mask, or the range that one ratio is drawn from
            at each call. Default: (0.3, 0.5)

    Inputs:
        batch_size (int): Number of samples ``b``.
        grid (Tuple[int, int]): Rows and columns of patches ``(gh, gw)``.
        generator (Optional[Draws]): Source of the draws, on any device. Default: None, torch's global one
        device (Union[str, torch.device]): Where the mask is wanted. Default: "cpu"

    Returns:
        Tensor: Bool of shape ``(b, gh * gw)``, row by row over the grid, True = masked. Exactly
        ``round(ratio * gh * gw)`` are True in every sample.

    Raises:
        ValueError: If the ratio is no share or range of shares, or the grid is not positive.
    """

    def __init__(self, ratio: Ratio = (0.3, 0.5)) -> None:
        super().__init__()
        self.ratio = ratio_range(ratio)

    def forward(
        self,
        batch_size: int,
        grid: Tuple[int, int],
        *,
        generator: Optional[Draws] = None,
        device: Union[str, torch.device] = "cpu",
    ) -> Tensor:
        num_patches = _num_patches(grid)
        count = round(draw_ratio(self.ratio, generator) * num_patches)
        noise = uniform((batch_size, num_patches), generator, device)
        return _mask_smallest(noise, count)

    def extra_repr(self) -> str:
        return f"ratio={self.ratio}"


class BlockPatchMasking(nn.Module):
    """Masks rectangular blocks of patches, as BEiT does, the same number of patches in every sample of the batch.

    Blocks with a random area, aspect ratio and place are united until the wanted number of patches is covered; the
    last block is cut, from a random side, to reach that number exactly. All samples are drawn at once.

    Reference: https://arxiv.org/abs/2106.08254. There a block has at least 16 of 196 patches; here that is a share,
    since a person's grid has fewer (128 patches, or 32). There the last block is drawn smaller, here it is cut.

    Args:
        ratio (Union[float, Sequence[float]]): Share of the patches to mask, or the range that one ratio is drawn from
            at each call. Default: (0.3, 0.5)
        min_block (float): Area of the smallest block as a share of the grid. Default: 16 / 196
        min_aspect (float): The height of a block over its width is log-uniform in [``min_aspect``, ``1 / min_aspect``],
            as far as the grid allows. Default: 0.3

    Inputs:
        batch_size (int): Number of samples ``b``.
        grid (Tuple[int, int]): Rows and columns of patches ``(gh, gw)``.
        generator (Optional[Draws]): Source of the draws, on any device. Default: None, torch's global one
        device (Union[str, torch.device]): Where the mask is wanted. Default: "cpu"

    Returns:
        Tensor: Bool of shape ``(b, gh * gw)``, row by row over the grid, True = masked. Exactly
        ``round(ratio * gh * gw)`` are True in every sample.

    Raises:
        ValueError: If the ratio is no share or range of shares, ``min_block`` or ``min_aspect`` is not in (0, 1], or
            the grid is not positive.
    """

    def __init__(
        self,
        ratio: Ratio = (0.3, 0.5),
        min_block: float = 16 / 196,
        min_aspect: float = 0.3,
    ) -> None:
        super().__init__()
        self.ratio = ratio_range(ratio)
        for name, value in (("min_block", min_block), ("min_aspect", min_aspect)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {value}")
        self.min_block = min_block
        self.min_aspect = min_aspect

    def forward(
        self,
        batch_size: int,
        grid: Tuple[int, int],
        *,
        generator: Optional[Draws] = None,
        device: Union[str, torch.device] = "cpu",
    ) -> Tensor:
        num_patches = _num_patches(grid)
        count = round(draw_ratio(self.ratio, generator) * num_patches)
        # shape: (b, candidates, gh * gw)
        blocks = self._draw_blocks(batch_size, grid, count, generator, device)
        # a patch is taken when the first block that covers it is, and within a block in the order of a random side
        place = torch.arange(blocks.shape[1], dtype=torch.int32, device=device)
        first_block = torch.where(blocks, place.view(1, -1, 1), len(place)).amin(dim=1)
        side = uniform_integers(4, (batch_size,), generator, device)
        order = _orders(grid, device)[side]
        return _mask_smallest(first_block * num_patches + order, count)

    def _draw_blocks(
        self,
        batch_size: int,
        grid: Tuple[int, int],
        count: int,
        generator: Optional[Draws],
        device: Union[str, torch.device],
    ) -> Tensor:
        rows, columns = grid
        smallest = max(1, min(count, round(self.min_block * rows * columns)))
        # shape: (4, b, candidates)
        noise = uniform((batch_size, 4, NUM_CANDIDATES), generator, device).transpose(
            0, 1
        )
        area = smallest + torch.floor(noise[0] * (max(count, smallest) - smallest + 1))
        aspect = torch.exp((2 * noise[1] - 1) * math.log(1 / self.min_aspect))
        # no lower than lets the area fit into the grid's width
        height = torch.maximum(
            torch.sqrt(area * aspect).round(), torch.ceil(area / columns)
        ).clamp(1, rows)
        width = torch.round(area / height).clamp(1, columns)
        top = torch.floor(noise[2] * (rows - height + 1)).unsqueeze(-1)
        left = torch.floor(noise[3] * (columns - width + 1)).unsqueeze(-1)
        row = torch.arange(rows, device=device)
        column = torch.arange(columns, device=device)
        in_rows = (row >= top) & (row < top + height.unsqueeze(-1))
        in_columns = (column >= left) & (column < left + width.unsqueeze(-1))
        # shape: (b, candidates, gh, gw)
        blocks = in_rows.unsqueeze(-1) & in_columns.unsqueeze(-2)
        everything = torch.ones(
            (batch_size, 1, rows, columns), dtype=torch.bool, device=device
        )
        return torch.cat((blocks, everything), dim=1).flatten(2)

    def extra_repr(self) -> str:
        return f"ratio={self.ratio}, min_block={self.min_block:.4g}, min_aspect={self.min_aspect}"


def _num_patches(grid: Tuple[int, int]) -> int:
    if len(grid) != 2 or min(grid) < 1:
        raise ValueError(
            f"grid must be (rows, columns) of patches, both >= 1, got {tuple(grid)}"
        )
    return grid[0] * grid[1]


def _mask_smallest(keys: Tensor, count: int) -> Tensor:
    # a sort, not a threshold: equal keys must not change the number
    chosen = torch.argsort(keys, dim=1, stable=True)[:, :count]
    return torch.zeros_like(keys, dtype=torch.bool).scatter_(1, chosen, True)


def _orders(grid: Tuple[int, int], device: Union[str, torch.device]) -> Tensor:
    """The place of each patch when the grid is read from the top, bottom, left and right. shape: (4, gh * gw)"""
    rows, columns = grid
    from_top = torch.arange(rows * columns, device=device).view(rows, columns)
    from_left = torch.arange(rows * columns, device=device).view(columns, rows).t()
    return torch.stack(
        (from_top, from_top.flip((0, 1)), from_left, from_left.flip((0, 1)))
    ).flatten(1)
