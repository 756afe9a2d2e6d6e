# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.rough_distances import RoughDistances

# Distances of so many points to so many others are made at a time: they fit into the cache, and on to a GPU
BLOCK_ROWS = 3072
# Only groups of so many distances are looked into whose least or greatest one is in question
GROUP = 16
# Groups of rows of a block that are gone through at a time: their distances stay in the faster cache
STRIP_GROUPS = 4
# Distances of a block that are looked through at a time
ELEMENTS = 2**22


class Extremes:
    """For each point the ``count`` least of the values that it was shown, least first, and with which points.

    Args:
        points (int): How many points there are.
        count (int): How many values to keep, at most ``points``.
        sign (int): 1; or -1 to keep the least of the negated values.
        device (torch.device): Where.
    """

    def __init__(
        self, points: int, count: int, sign: int, device: torch.device
    ) -> None:
        self.value = torch.full((points, count), float("inf"), device=device)
        self.index = torch.zeros(points, count, dtype=torch.long, device=device)
        self._sign = sign
        self.nothing = sign * float("inf")

    def show(self, first: int, groups: Tensor, least: Tensor, members: Tensor) -> None:
        """Takes what belongs to the extremes from the values of ``p`` points to ``g * t`` others.

        Args:
            first (int): The first of the points.
            groups (Tensor): Shape ``(p, g, t)``. Infinite, by the sign, where there is no point.
            least (Tensor): The least, or greatest, value of each group, shape ``(p, g)``.
            members (Tensor): The numbers of the other points, shape ``(g, t)``, long.
        """
        step = max(1, ELEMENTS // members.numel())
        for start in range(0, len(groups), step):
            part = slice(start, start + step)
            self._show(first + start, groups[part], least[part] * self._sign, members)

    def _show(self, first: int, groups: Tensor, least: Tensor, members: Tensor) -> None:
        rows = slice(first, first + len(groups))
        limit = self._limit(self.value[rows], least)[:, None]
        row, group = (least <= limit).nonzero(as_tuple=True)
        value = groups[row, group] * self._sign  # shape: (s, t)
        kept, place = (value <= limit[row]).nonzero(as_tuple=True)
        if not len(kept):
            return
        row, value = row[kept], value[kept, place]
        counts = torch.bincount(row, minlength=len(groups))
        column = torch.arange(len(row), device=row.device)
        column -= (counts.cumsum(0) - counts)[row]
        shape = (len(groups), int(counts.max()))
        new_value = value.new_full(shape, float("inf"))
        new_value[row, column] = value
        new_index = self.index.new_zeros(shape)
        new_index[row, column] = members[group[kept], place]
        joint = torch.cat([self.value[rows], new_value], 1)
        index = torch.cat([self.index[rows], new_index], 1)
        self.value[rows], order = joint.topk(self.value.shape[1], dim=1, largest=False)
        self.index[rows] = index.gather(1, order)

    def _limit(self, value: Tensor, least: Tensor) -> Tensor:
        """What is greater does not belong to the extremes. Finite, as no value of a point is infinite."""
        last, count = value[:, -1], value.shape[1]
        # what equals the last one of a full list changes nothing
        limit = last.nextafter(torch.full_like(last, -float("inf")))
        if least.shape[1] >= count and bool(last.isinf().any()):
            # each of the groups has at least one value that is no greater than its least
            seen = least.kthvalue(count, dim=1).values
            limit = torch.where(last.isinf(), seen, limit)
        return limit.clamp_max_(torch.finfo(limit.dtype).max)


class Found(NamedTuple):
    near: Extremes  # the points of the least rough distances
    far: Extremes  # those of the greatest ones, negated


def search_blocks(rough: RoughDistances, near: int, far: int) -> Found:
    """The ``near`` least and the ``far`` greatest rough distances of each point, without the matrix of all.

    Each block of distances between points I and points J, I not after J, is used for both.
    """
    points, device = len(rough.factors), rough.factors.device
    side = -(-min(BLOCK_ROWS, points) // GROUP) * GROUP
    buffer = torch.empty(side * side, device=device)
    found = Found(Extremes(points, near, 1, device), Extremes(points, far, -1, device))
    slices = [slice(i, min(i + side, points)) for i in range(0, points, side)]
    for number, first in enumerate(slices):
        for second in slices[number:]:
            width = -(-(second.stop - second.start) // GROUP) * GROUP
            rows = first.stop - first.start
            block = buffer[: rows * width].view(rows, width)
            _search_block(rough, first, second, block, found)
    return found


def _search_block(
    rough: RoughDistances, first: slice, second: slice, block: Tensor, found: Found
) -> None:
    columns = second.stop - second.start
    rough.multiply(rough.factors[first], rough.factors[second], block[:, :columns])
    reduced = _add_and_reduce(block, rough.low[first], rough.low[second])
    # a row's groups are of columns far from each other: memory is then gone through in order, many groups at a time
    groups = block.view(len(block), GROUP, -1).transpose(1, 2)
    members = torch.arange(block.shape[1], device=block.device).view(GROUP, -1).T
    for extremes, least in zip(found, reduced.rows):
        block[:, columns:] = extremes.nothing
        extremes.show(first.start, groups, least, members + second.start)
    if first == second:
        return
    # a column's are of neighbouring rows: a strip has whole groups
    groups = block.view(-1, GROUP, block.shape[1]).permute(2, 0, 1)[:columns]
    members = torch.arange(len(block), device=block.device).view(-1, GROUP)
    for extremes, least in zip(found, reduced.columns):
        extremes.show(second.start, groups, least.T[:columns], members + first.start)


class _Reduced(NamedTuple):
    """The least and the greatest value of each group."""

    rows: Tensor  # shape: (2, rows, columns / GROUP)
    columns: Tensor  # shape: (2, rows / GROUP, columns)


def _add_and_reduce(block: Tensor, low: Tensor, other_low: Tensor) -> _Reduced:
    """Makes distances from what :meth:`RoughDistances.multiply` gave, strip by strip."""
    (rows, width), columns = block.shape, len(other_low)
    reduced = _Reduced(
        block.new_empty(2, rows, width // GROUP),
        block.new_empty(2, rows // GROUP, width),
    )
    for start in range(0, rows, STRIP_GROUPS * GROUP):
        strip = slice(start, start + STRIP_GROUPS * GROUP)
        part = block[strip]
        part[:, :columns] += other_low
        part[:, :columns] += low[strip, None]
        groups = part.view(len(part), GROUP, -1)
        part[:, columns:] = float("inf")
        torch.amin(groups, 1, out=reduced.rows[0, strip])
        part[:, columns:] = -float("inf")
        torch.amax(groups, 1, out=reduced.rows[1, strip])
        # the last block of rows, and it alone, may have a part of a group: its columns are its rows
        if rows % GROUP == 0:
            groups = part.view(-1, GROUP, width)
            strip = slice(start // GROUP, start // GROUP + len(groups))
            torch.amin(groups, 1, out=reduced.columns[0, strip])
            torch.amax(groups, 1, out=reduced.columns[1, strip])
    return reduced
