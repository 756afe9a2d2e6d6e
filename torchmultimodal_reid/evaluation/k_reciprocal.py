# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import List, Tuple

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.joint_features import JointFeatures
from torchmultimodal_reid.evaluation.neighbours import Neighbours
from torchmultimodal_reid.evaluation.sparse_rows import (
    entries_of,
    from_entries,
    SparseRows,
    sum_entries,
)

# Comparisons between members of neighbour lists that are held at a time
COMPARISONS = 2**24
# A point's neighbour's neighbours join it if more than this share of them are its own
OVERLAP = 2 / 3


def half_of(k1: int) -> int:
    """Length of the short lists, the point itself among them; halves round to the even number, as in NumPy."""
    return round(k1 / 2) + 1


def reciprocal_weights(
    features: JointFeatures, neighbours: Neighbours, k1: int
) -> SparseRows:
    """Each point as weights of its k-reciprocal neighbours, which sum to 1.

    Two points are k-reciprocal neighbours if each is among the other's ``k1 + 1`` nearest. To a point's come those of
    a neighbour, by lists of about half the length, if more than two thirds of them are the point's own. Weights fall
    exponentially with the squared distance as a share of the farthest point's. Reference:
    https://arxiv.org/abs/1701.08398.

    Args:
        features (JointFeatures): The points.
        neighbours (Neighbours): Their lists, exact in the first ``half_of(k1)`` and the first ``k1 + 1``.
        k1 (int): Length of the lists, the point itself aside.

    Returns:
        SparseRows: Shape ``(n, n)``. The row of a point that is not in its own list, for it has more than ``k1`` equal
        ones before it, may be empty.
    """
    num_points = len(features)
    near = neighbours.index[:, : k1 + 1]
    short = near[:, : half_of(k1)]
    is_mutual_short = _is_mutual(short, short)
    step = max(1, COMPARISONS // (near.shape[1] ** 2 * short.shape[1]))
    parts: List[Tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, num_points, step):
        rows = slice(start, start + step)
        is_mutual = _is_mutual(near, near[rows], start)
        row, place = is_mutual.nonzero(as_tuple=True)
        key = (row + start) * num_points + near[rows][row, place]
        distance = neighbours.distance[rows][row, place]

        added = _members_of_members(near[rows], is_mutual, short, is_mutual_short)
        row, column = added
        more = torch.unique((row + start) * num_points + column)
        first, second = more // num_points, more % num_points
        key, order = torch.cat([key, more]).sort()
        distance = torch.cat([distance, features.quick_distances(first, second)])
        parts.append((key // num_points, key % num_points, distance[order]))

    row, column, distance = (torch.cat(part) for part in zip(*parts))
    # where all points are one, every share is 0
    farthest = neighbours.farthest.clamp_min(torch.finfo(torch.float32).tiny)
    weight = (-distance / farthest[row]).exp()
    total = torch.zeros(num_points, device=weight.device).index_add_(0, row, weight)
    return from_entries(row, column, weight / total[row], num_points)


def _is_mutual(lists: Tensor, part: Tensor, start: int = 0) -> Tensor:
    """Whether the points ``start``, ``start + 1`` ... are in the lists of those that ``part``, their lists, names."""
    result = torch.empty(part.shape, dtype=torch.bool, device=part.device)
    step = max(1, COMPARISONS // (part.shape[1] * lists.shape[1]))
    for first in range(0, len(part), step):
        own = part[first : first + step]
        number = torch.arange(len(own), device=part.device) + (start + first)
        result[first : first + step] = (lists[own] == number[:, None, None]).any(2)
    return result


def _members_of_members(
    near: Tensor, is_mutual: Tensor, short: Tensor, is_mutual_short: Tensor
) -> Tuple[Tensor, Tensor]:
    """Pairs of a row of ``near`` and a point that joins it because enough of those around it are there already."""
    candidates = short[near]  # shape: (r, k, h)
    is_candidate = is_mutual_short[near] & is_mutual[:, :, None]
    members = near.masked_fill(~is_mutual, -1)
    is_member = (candidates[..., None] == members[:, None, None, :]).any(3)
    shared = (is_member & is_candidate).sum(2)
    joins = shared.double() > OVERLAP * is_candidate.sum(2).double()
    is_new = is_candidate & joins[:, :, None] & ~is_member
    row, place, number = is_new.nonzero(as_tuple=True)
    return row, candidates[row, place, number]


def average_over_neighbours(weights: SparseRows, nearest: Tensor) -> SparseRows:
    """Each row becomes the mean of its nearest points' rows (local query expansion).

    Args:
        weights (SparseRows): Shape ``(n, n)``.
        nearest (Tensor): Shape ``(n, k2)``, long.
    """
    num_points, count = nearest.shape
    # a mean row has at most the entries of all that it is made of
    sizes = weights.counts[nearest].sum(1).cumsum(0)
    step = max(1, int(COMPARISONS // 4 * num_points // max(int(sizes[-1]), 1)))
    parts: List[Tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, num_points, step):
        source = nearest[start : start + step]
        place, entry = entries_of(weights, source.flatten())
        row = place // count + start
        key = row * num_points + weights.column[entry]
        key, value = sum_entries(key, weights.value[entry])
        parts.append((key // num_points, key % num_points, value / count))
    row, column, value = (torch.cat(part) for part in zip(*parts))
    return from_entries(row, column, value, num_points)
