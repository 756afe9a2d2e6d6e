# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import Tensor
from torchmultimodal_reid.evaluation import measured_lists
from torchmultimodal_reid.evaluation.joint_features import JointFeatures
from torchmultimodal_reid.evaluation.measured_lists import (
    by_distance,
    find_lists,
    measured,
)
from torchmultimodal_reid.evaluation.rough_distances import RoughDistances
from torchmultimodal_reid.utils.seeding import generator_for

DTYPES = [torch.float32, torch.bfloat16]


def all_exact(features: JointFeatures) -> Tensor:
    every = torch.arange(len(features))
    first, second = every.repeat_interleave(len(every)), every.repeat(len(every))
    return features.exact_distances(first, second).view(len(every), len(every))


@pytest.mark.parametrize("dtype", DTYPES)
def test_closed_lists_have_all_that_may_be_nearest(
    hard_points: Tensor, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_lists, "FAR", 5)
    features = JointFeatures(hard_points[:9], hard_points[9:])
    lists = find_lists(features, RoughDistances(features, dtype), 6)
    exact = all_exact(features)
    ordered, order = exact.sort(dim=1, stable=True)
    assert (lists.reach >= ordered[:, 5]).all()
    assert (
        (lists.distance.diff(dim=1) >= 0)
        .logical_or(lists.distance[:, 1:].isinf())
        .all()
    )
    closed = (~lists.is_open).nonzero()[:, 0].tolist()
    for point in closed:
        candidates = lists.index[point][lists.distance[point].isfinite()].tolist()
        assert set(order[point, :6].tolist()) <= set(candidates)
        farthest = float(exact[point].max())
        assert float(lists.farthest[point]) == pytest.approx(farthest, rel=1e-6)


def test_lists_of_points_that_are_apart_are_closed() -> None:
    points = torch.randn(200, 100, generator=generator_for(0))
    features = JointFeatures(points[:9], points[9:])
    for dtype in DTYPES:
        lists = find_lists(features, RoughDistances(features, dtype), 20)
        assert not lists.is_open.any()
        # a few more are measured than asked for, not all that are kept
        counts = lists.distance.isfinite().sum(1)
        assert (counts >= 20).all() and counts.float().mean() < 30


def test_only_the_farthest_are_nearly_as_far() -> None:
    # ten points around point 0, and 30 at 100 from it but for steps that bfloat16 cannot tell apart
    points = torch.randn(41, 300, generator=generator_for(0))
    points = torch.nn.functional.normalize(points, dim=1)
    points[1:11] *= torch.arange(1.0, 11)[:, None]
    steps = torch.randperm(30, generator=generator_for(1))
    points[11:] *= 100 * (1 + 1e-5 * steps[:, None])
    points[0] = 0
    features = JointFeatures(points[:9], points[9:])
    rough = RoughDistances(features, torch.bfloat16)
    monkeypatch = pytest.MonkeyPatch()
    for far, is_open in ((4, True), (41, False)):
        with monkeypatch.context() as patch:
            patch.setattr(measured_lists, "FAR", far)
            assert bool(find_lists(features, rough, 5).is_open[0]) is is_open


def test_distances_and_their_order() -> None:
    points = torch.tensor([[0.0], [3.0], [1.0], [-1.0]])
    features = JointFeatures(points[:1], points[1:])
    index = torch.tensor([[3, 2, 0, 1], [3, 2, 1, 0]])
    distance = measured(features, torch.tensor([0, 1]), index)
    assert distance.tolist() == [[1, 1, 0, 9], [16, 4, 0, 9]]
    ordered = by_distance(index, distance)
    assert ordered[0].tolist() == [[0, 2, 3, 1], [1, 2, 0, 3]]
    assert ordered[1].tolist() == [[0, 1, 1, 9], [0, 4, 9, 16]]
