# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import List, NamedTuple, Sequence

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.exact_product import aligned_empty
from torchmultimodal_reid.evaluation.joint_features import JointFeatures
from torchmultimodal_reid.evaluation.measured_lists import (
    by_distance,
    FAR,
    find_lists,
    Lists,
    measured,
)
from torchmultimodal_reid.evaluation.rough_distances import (
    product_dtypes,
    RoughDistances,
)

# Pairs of the distances that are made again at a time
PAIRS = 2**22
# Where more points than this share have to be searched for again, all are, by other products if there are any
MOST_OPEN = 0.25


class Neighbours(NamedTuple):
    """Each point's nearest points, itself among them, nearest first."""

    index: Tensor  # type: ignore[assignment]  # shape: (n, k), long
    distance: Tensor  # shape: (n, k), float32, squared
    farthest: Tensor  # shape: (n,), float32; squared distance of the farthest point


def nearest_neighbours(features: JointFeatures, cuts: Sequence[int]) -> Neighbours:
    """The nearest points of each point, without the matrix of all distances.

    Distances are made three times, each time of fewer pairs. Products of all points, in float32 or, where that is
    quicker, in bfloat16, and the bound of their errors leave the few points that can be among a point's nearest, or be
    its farthest. Those are measured in float32, from differences. Where rounding could still change which are the
    first ``c``, for a ``c`` in ``cuts``, they are measured in float64: so these sets are exact whatever the products,
    the device, the number of threads and the size of blocks, and of points at equal distance the first ones are taken,
    as by a stable argsort. The distances that are given are those in float32, however the points were found.

    Args:
        features (JointFeatures): The points.
        cuts (Sequence[int]): Lengths at which lists are cut later; the longest is how many neighbours are given. All
            are at least 1; those longer than the number of points are cut there.

    Returns:
        Neighbours: The lists. From one cut to the next they are ordered by the distance given, then by number.
    """
    cuts = sorted({min(cut, len(features)) for cut in cuts})
    for dtype in product_dtypes(features):
        lists = find_lists(features, RoughDistances(features, dtype), cuts[-1])
        if int(lists.is_open.sum()) <= MOST_OPEN * len(features):
            break
    _settle(features, lists, cuts)
    _search_again(features, lists, cuts)
    kept = slice(None, cuts[-1])
    return Neighbours(
        lists.index[:, kept].clone(), lists.distance[:, kept].clone(), lists.farthest
    )


def _settle(features: JointFeatures, lists: Lists, cuts: List[int]) -> None:
    """Makes those lists exact in which rounding could have exchanged points at a cut."""
    index, distance = lists.index, lists.distance
    is_unsure = torch.zeros_like(lists.is_open)
    for cut in cuts:
        # a list of all points has nothing to be told apart from
        if cut < index.shape[1]:
            near, next_one = distance[:, cut - 1], distance[:, cut]
            off = features.tolerance(near) + features.tolerance(next_one)
            is_unsure |= (next_one - near <= off) & next_one.isfinite()
    rows = (is_unsure & ~lists.is_open).nonzero()[:, 0]
    for part in rows.split(max(1, PAIRS // index.shape[1])):
        row, place = distance[part].isfinite().nonzero(as_tuple=True)
        exact = torch.full_like(distance[part], float("inf"), dtype=torch.float64)
        exact[row, place] = features.exact_distances(part[row], index[part[row], place])
        number, order = index[part].sort(dim=1)
        by_exact = exact.gather(1, order).sort(dim=1, stable=True).indices
        order = order.gather(1, by_exact)
        index[part] = number.gather(1, by_exact)
        distance[part] = distance[part].gather(1, order)
        _order_between_cuts(lists, part, cuts)


def _order_between_cuts(lists: Lists, rows: Tensor, cuts: List[int]) -> None:
    """Makes the order within sets that of the distances given, whatever they were found by."""
    for first, last in zip([0, *cuts], cuts):
        part = slice(first, last)
        index, distance = by_distance(
            lists.index[rows, part], lists.distance[rows, part]
        )
        lists.index[rows, part], lists.distance[rows, part] = index, distance


def _search_again(features: JointFeatures, lists: Lists, cuts: List[int]) -> None:
    """Fills in the open lists from all points that may be within their reach: many are at nearly one distance."""
    rows = lists.is_open.nonzero()[:, 0]
    if not len(rows):
        return
    rough = RoughDistances(features, torch.float32)
    kept, points = cuts[-1], len(features)
    for part in rows.split(max(1, PAIRS // points)):
        quick = aligned_empty(len(part), points, rough.low.device)
        rough.multiply(rough.factors[part], rough.factors, quick)
        quick.add_(rough.low).add_(rough.low[part, None])
        limit = rough.near_limit(lists.reach[part])
        row, column = (quick <= limit[:, None]).nonzero(as_tuple=True)
        exact = features.exact_distances(part[row], column)
        # by row, then distance, then column: the pairs come by row and column
        order = exact.sort(stable=True).indices
        order = order[row[order].sort(stable=True).indices]
        ends = torch.bincount(row, minlength=len(part)).cumsum(0)
        starts = torch.nn.functional.pad(ends[:-1], (1, 0))
        taken = order[starts[:, None] + torch.arange(kept, device=order.device)]
        lists.index[part, :kept] = column[taken]
        lists.distance[part, :kept] = measured(features, part, column[taken])
        _order_between_cuts(lists, part, cuts)
        far = quick.topk(min(FAR, points), dim=1).indices
        lists.farthest[part] = measured(features, part, far).amax(1)
