# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Sequence, Tuple

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.exact_product import exact_product
from torchmultimodal_reid.evaluation.joint_features import JointFeatures

# Distances of so many points to so many others are made at a time: they fit into the cache, and on to a GPU
BLOCK_ROWS = 3072
# A block's nearest are looked for among the nearest of groups of so many columns
GROUP = 16
# Neighbours kept beyond those that are asked for, so that few rows with near ties have to be gone through again;
# at least one
SPARE = 8
# Pairs of the distances that are made exact at a time
PAIRS = 2**22


class Neighbours(NamedTuple):
    """Each point's nearest points, itself among them, nearest first."""

    index: Tensor  # type: ignore[assignment]  # shape: (n, k), long
    distance: Tensor  # shape: (n, k), float32, squared
    farthest: Tensor  # shape: (n,), float32; squared distance of the farthest point


def nearest_neighbours(features: JointFeatures, cuts: Sequence[int]) -> Neighbours:
    """The nearest points of each point, without the matrix of all distances.

    Distances are made in float32, each block for its rows and for its columns. Rounding can only exchange neighbours
    whose distances it cannot tell apart. Where that could change which are the first ``c``, for a ``c`` in ``cuts``,
    their distances are made again in float64: so these sets are exact whatever the device, the number of threads and
    the size of blocks, and of points at equal distance the first ones are taken, as by a stable argsort.

    Args:
        features (JointFeatures): The points.
        cuts (Sequence[int]): Lengths at which lists are cut later; the longest is how many neighbours are given. All
            are at least 1; those longer than the number of points are cut there.

    Returns:
        Neighbours: The lists. Within a cut, near ties may stand in any order.
    """
    num_points = len(features)
    cuts = sorted({min(cut, num_points) for cut in cuts})
    search = _Search(features, min(cuts[-1] + SPARE, num_points))
    search.run()
    index, distance = search.index, search.distance
    tolerance = _tolerance(features, distance[:, -1])
    # a list of all points has nothing to be told apart from
    places = torch.tensor([cut for cut in cuts if cut < num_points], dtype=torch.long)
    places = places.to(index.device)
    gaps = distance[:, places] - distance[:, places - 1]
    unsure = (gaps <= 2 * tolerance[:, None]).any(1).nonzero()[:, 0]
    kept = cuts[-1]
    step = max(1, PAIRS // distance.shape[1])
    for rows in unsure.split(step):
        exact = _sorted_exactly(features, rows, index[rows])
        index[rows], distance[rows] = exact.index, exact.distance.float()
        # may a point that is not in the list be as near as the last one that is kept?
        is_open = exact.distance[:, kept - 1] >= search.bound[rows] - tolerance[rows]
        if index.shape[1] < num_points and bool(is_open.any()):
            _search_again(
                features,
                rows[is_open],
                exact.distance[is_open, kept - 1],
                tolerance,
                index[:, :kept],
                distance[:, :kept],
            )
    return Neighbours(index[:, :kept], distance[:, :kept], search.farthest)


class _Search:
    """Nearest points by blocks of distances between points I and points J, I not after J, used for both."""

    def __init__(self, features: JointFeatures, count: int) -> None:
        num_points, device = len(features), features.rows.device
        self.features = features
        self.distance = torch.full((num_points, count), float("inf"), device=device)
        self.index = torch.zeros(num_points, count, dtype=torch.long, device=device)
        self.farthest = torch.full((num_points,), -float("inf"), device=device)

    def run(self) -> None:
        rows, norms = self.features.rows, self.features.norms
        points = len(rows)
        side = min(BLOCK_ROWS, points)
        products, turned = torch.empty(2, side * side, device=rows.device)
        slices = [
            slice(i, min(i + BLOCK_ROWS, points)) for i in range(0, points, BLOCK_ROWS)
        ]
        for number, first in enumerate(slices):
            left = rows[first] * -2
            for second in slices[number:]:
                right = rows[second]
                size = len(left) * len(right)
                block = products[:size].view(len(left), len(right))
                exact_product(left, right.T, block)
                # a row's own norm changes nothing in its order and is added in the end
                if first is not second:
                    other = turned[:size].view(len(right), len(left))
                    torch.add(block.T, norms[first], out=other)
                    self._take(second, first.start, other)
                self._take(first, second.start, block.add_(norms[second]))
        self.distance.add_(norms[:, None]).clamp_min_(0)
        self.farthest.add_(norms).clamp_min_(0)
        self.bound = self.distance[:, -1].clone()

    def _take(self, rows: slice, first_column: int, block: Tensor) -> None:
        self.farthest[rows] = torch.maximum(self.farthest[rows], block.amax(1))
        nearest, column = _smallest(block, min(self.distance.shape[1], block.shape[1]))
        distance = torch.cat([self.distance[rows], nearest], 1)
        index = torch.cat([self.index[rows], column + first_column], 1)
        self.distance[rows], order = distance.topk(
            self.distance.shape[1], dim=1, largest=False
        )
        self.index[rows] = index.gather(1, order)


def _smallest(block: Tensor, count: int) -> Tuple[Tensor, Tensor]:
    """The smallest of each row and their columns, in any order.

    No group of columns can hold one of them unless its minimum is among the smallest minima: the others are put aside.
    """
    if block.shape[1] % GROUP or block.shape[1] <= 2 * count * GROUP:
        nearest, column = block.topk(count, dim=1, largest=False, sorted=False)
        return nearest, column
    groups = block.unflatten(1, (-1, GROUP))
    group = groups.amin(2).topk(count, dim=1, largest=False, sorted=False).indices
    candidates = groups.gather(1, group[:, :, None].expand(-1, -1, GROUP)).flatten(1)
    nearest, place = candidates.topk(count, dim=1, largest=False, sorted=False)
    column = group.gather(1, place // GROUP) * GROUP + place % GROUP
    return nearest, column


def _tolerance(features: JointFeatures, reach: Tensor) -> Tensor:
    """How far a quick distance may be from the exact one, for points about as far as ``reach``; shape ``(n,)``.

    Ten units in the last place of both norms are the most that was seen for 64 to 4,096 dimensions, clusters and
    features of few degrees of freedom among them. Sums of d rounding errors may grow as sqrt(d).
    """
    norms = features.norms
    largest = norms + (norms.sqrt() + reach.sqrt()).square()
    unit = torch.finfo(torch.float32).eps / 2
    return largest * (unit * (16 + features.rows.shape[1] ** 0.5 / 2))


class _Exact(NamedTuple):
    index: Tensor  # type: ignore[assignment]
    distance: Tensor


def _sorted_exactly(features: JointFeatures, rows: Tensor, index: Tensor) -> _Exact:
    """The candidates ``index``, shape ``(r, c)``, of some rows by exact distance, then by their own numbers."""
    index = index.sort(dim=1).values
    first = rows[:, None].expand_as(index).flatten()
    distance = features.exact_distances(first, index.flatten()).view_as(index)
    distance, order = distance.sort(dim=1, stable=True)
    return _Exact(index.gather(1, order), distance)


def _search_again(
    features: JointFeatures,
    rows: Tensor,
    reach: Tensor,
    tolerance: Tensor,
    index: Tensor,
    distance: Tensor,
) -> None:
    """Fills in the lists of ``rows`` from all points that may be within ``reach``: many are at nearly one distance."""
    step = max(1, PAIRS // len(features))
    kept = index.shape[1]
    for part, bound in zip(rows.split(step), reach.split(step)):
        quick = features.rows.new_empty(len(part), len(features))
        exact_product(features.rows[part] * -2, features.rows.T, quick)
        quick += features.norms
        bound = bound.float() + 2 * tolerance[part] - features.norms[part]
        row, column = (quick <= bound[:, None]).nonzero(as_tuple=True)
        exact = features.exact_distances(part[row], column)
        # by row, then distance, then column: the pairs come by row and column
        order = exact.sort(stable=True).indices
        order = order[row[order].sort(stable=True).indices]
        ends = torch.bincount(row, minlength=len(part)).cumsum(0)
        starts = torch.nn.functional.pad(ends[:-1], (1, 0))
        taken = order[starts[:, None] + torch.arange(kept, device=order.device)]
        index[part], distance[part] = column[taken], exact[taken].float()
