# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import List

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor
from torchmultimodal_reid.evaluation import neighbours
from torchmultimodal_reid.evaluation.joint_features import JointFeatures
from torchmultimodal_reid.evaluation.neighbours import nearest_neighbours
from torchmultimodal_reid.utils.seeding import generator_for


def exact(points: Tensor) -> Tensor:
    points = points.double()
    return (points[:, None] - points).square().sum(2)


def assert_nearest(points: Tensor, cuts: List[int], queries: int = 1) -> None:
    found = nearest_neighbours(JointFeatures(points[:queries], points[queries:]), cuts)
    distances = exact(points)
    order = distances.argsort(dim=1, stable=True)
    for cut in cuts:
        expected = order[:, :cut].sort(dim=1).values
        assert torch.equal(found.index[:, :cut].sort(dim=1).values, expected)
    listed = distances.gather(1, found.index).float()
    scale = float(distances.max()) + 1e-9
    torch.testing.assert_close(found.distance, listed, rtol=0, atol=2e-6 * scale)
    torch.testing.assert_close(
        found.farthest, distances.max(1).values.float(), rtol=1e-5, atol=1e-6
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    count=st.integers(2, 60),
    values=st.sampled_from([1, 2, 4, 0]),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=3),
    block=st.sampled_from([16, 48, 1000]),
    seed=st.integers(0, 99),
)
def test_sets_are_those_of_a_stable_argsort(
    count: int, values: int, cuts: List[int], block: int, seed: int
) -> None:
    generator = generator_for(seed)
    points = torch.randn(count, 6, generator=generator)
    if values:
        # whole numbers: ties in plenty; of one value, all points are the same
        points = torch.randint(values, (count, 6), generator=generator).float()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK_ROWS", block)
        patch.setattr(neighbours, "GROUP", 4)
        patch.setattr(neighbours, "SPARE", 1 + seed % 4)
        patch.setattr(neighbours, "PAIRS", 400)
        assert_nearest(points, cuts, queries=1 + seed % (count - 1))


def test_what_float32_products_cannot_tell_apart() -> None:
    # steps of 1e-5 around (1000, 1000, ...): squared norms of 4e6 have steps of 0.25
    steps = torch.randperm(200, generator=generator_for(0)).double()[:, None]
    points = 1000 + torch.cat([steps * 1e-5, torch.zeros(200, 3)], 1)
    distances = exact(points)
    found = nearest_neighbours(JointFeatures(points[:50], points[50:]), (4,))
    kth = distances.sort(dim=1).values[:, 3:4]
    assert (distances.gather(1, found.index) <= kth * (1 + 1e-6)).all()


def test_an_outlier_does_not_blur_the_others() -> None:
    points = torch.randn(60, 5, generator=generator_for(2))
    points[17] = 1e5
    assert_nearest(points, [3, 8], queries=20)
