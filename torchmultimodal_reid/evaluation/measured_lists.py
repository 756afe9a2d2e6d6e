# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Tuple

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.block_search import Extremes, search_blocks
from torchmultimodal_reid.evaluation.joint_features import JointFeatures
from torchmultimodal_reid.evaluation.rough_distances import RoughDistances

# Neighbours kept beyond those that are asked for, so that few lists have to be made again
SPARE = 8
# Of products that are rounded, that many times as many again
ROUNDED_SPARE = 1
# Points kept as perhaps the farthest
FAR = 16


class Lists(NamedTuple):
    """What a search by rough distances found, measured by :meth:`JointFeatures.quick_distances`.

    Filled in and put right in place.
    """

    index: Tensor  # type: ignore[assignment]  # shape: (n, c), long
    distance: Tensor  # shape: (n, c), ascending; infinite if not measured, as it cannot be among the nearest
    reach: Tensor  # shape: (n,); the nearest are at most so far away, exactly
    farthest: Tensor  # shape: (n,)
    is_open: Tensor  # shape: (n,), bool; points that are not in the list may belong there, or one be the farthest


def find_lists(features: JointFeatures, rough: RoughDistances, kept: int) -> Lists:
    """The ``kept`` nearest points of each point, and its farthest, as far as rough distances and float32 tell.

    Args:
        features (JointFeatures): The points.
        rough (RoughDistances): Of these points.
        kept (int): At most as many as there are points.

    Returns:
        Lists: Ordered by distance, then by number.
    """
    points = len(features)
    spare = SPARE + (ROUNDED_SPARE * kept if rough.is_rounded else 0)
    found = search_blocks(rough, min(kept + spare, points), min(FAR, points))
    farthest, is_far_open = _farthest(features, rough, found.far)
    value, index = found.near.value, found.near.index
    distance = torch.full_like(value, float("inf"))
    every = torch.arange(points, device=index.device)
    distance[:, :kept] = measured(features, every, index[:, :kept])
    # no point that is farther than those first ones belongs to the nearest
    reach = distance[:, :kept].amax(1)
    reach += features.tolerance(reach)
    limit = rough.near_limit(reach)[:, None]
    _measure(features, index, (value <= limit) & distance.isinf(), distance)
    is_open = is_far_open | _may_go_on(value <= limit, points)
    return Lists(*by_distance(index, distance), reach, farthest, is_open)


def _farthest(
    features: JointFeatures, rough: RoughDistances, far: Extremes
) -> Tuple[Tensor, Tensor]:
    """The distance of each point's farthest, and whether it may be a point that was not listed."""
    every = torch.arange(len(features), device=far.index.device)
    distance = torch.zeros_like(far.value)
    distance[:, :1] = measured(features, every, far.index[:, :1])
    reach = distance[:, 0] - features.tolerance(distance[:, 0])
    is_possible = -far.value >= rough.far_limit(reach)[:, None]
    more = is_possible.clone()
    more[:, 0] = False
    _measure(features, far.index, more, distance)
    return distance.amax(1), _may_go_on(is_possible, len(features))


def _may_go_on(is_possible: Tensor, points: int) -> Tensor:
    """Whether what was not listed is possible too, as the last that was listed is; shape ``(n, c)`` -> ``(n,)``."""
    return is_possible[:, -1] & (is_possible.shape[1] < points)


def _measure(
    features: JointFeatures, index: Tensor, is_asked: Tensor, distance: Tensor
) -> None:
    """Fills in the distances that are asked for; all of shape ``(n, c)``."""
    row, place = is_asked.nonzero(as_tuple=True)
    distance[row, place] = features.quick_distances(row, index[row, place])


def measured(features: JointFeatures, rows: Tensor, index: Tensor) -> Tensor:
    """Distances of the points ``rows``, shape ``(r,)``, to the points in their rows of ``index``, shape ``(r, c)``."""
    first = rows.repeat_interleave(index.shape[1])
    return features.quick_distances(first, index.flatten()).view_as(index)


def by_distance(index: Tensor, distance: Tensor) -> Tuple[Tensor, Tensor]:
    """Lists in the order of their distances, equal ones in that of their numbers. Both of shape ``(n, c)``."""
    index, order = index.sort(dim=1)
    distance, order = distance.gather(1, order).sort(dim=1, stable=True)
    return index.gather(1, order), distance
