# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from contextlib import AbstractContextManager
from typing import Callable, List

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor
from torchmultimodal_reid.evaluation import neighbours
from torchmultimodal_reid.evaluation.joint_features import JointFeatures
from torchmultimodal_reid.evaluation.neighbours import nearest_neighbours, Neighbours
from torchmultimodal_reid.evaluation.rough_distances import RoughDistances
from torchmultimodal_reid.utils.seeding import generator_for

SearchWith = Callable[..., AbstractContextManager[None]]


def exact(points: Tensor) -> Tensor:
    points = points.double()
    return (points[:, None] - points).square().sum(2)


def assert_nearest(points: Tensor, cuts: List[int], queries: int = 1) -> Neighbours:
    features = JointFeatures(points[:queries], points[queries:])
    found = nearest_neighbours(features, cuts)
    distances = exact(points)
    order = distances.argsort(dim=1, stable=True)
    for cut in cuts:
        expected = order[:, :cut].sort(dim=1).values
        assert torch.equal(found.index[:, :cut].sort(dim=1).values, expected)
    # a float32 number is as exact as the lengths of what it is made from
    distances *= features.scale**2
    listed = distances.gather(1, found.index).float()
    scale = float(distances.max()) + 1e-9
    torch.testing.assert_close(found.distance, listed, rtol=0, atol=2e-6 * scale)
    farthest = distances.max(1).values.float()
    torch.testing.assert_close(found.farthest, farthest, rtol=1e-6, atol=1e-30)
    return found


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    count=st.integers(2, 60),
    values=st.sampled_from([1, 2, 4, 0]),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=3),
    block=st.sampled_from([16, 48, 1000]),
    products=st.sampled_from(["float32", "bfloat16", "both"]),
    seed=st.integers(0, 99),
)
def test_sets_are_those_of_a_stable_argsort(
    search_with: SearchWith,
    count: int,
    values: int,
    cuts: List[int],
    block: int,
    products: str,
    seed: int,
) -> None:
    generator = generator_for(seed)
    points = torch.randn(count, 6, generator=generator)
    if values:
        # whole numbers: ties in plenty; of one value, all points are the same
        points = torch.randint(values, (count, 6), generator=generator).float()
    with search_with(
        products,
        BLOCK_ROWS=block,
        GROUP=4,
        ELEMENTS=400,
        SPARE=1 + seed % 4,
        FAR=1 + seed % 3,
        PAIRS=400,
        MOST_OPEN=seed % 2,
    ):
        assert_nearest(points, cuts, queries=1 + seed % (count - 1))


@pytest.mark.parametrize("block", [16, 1000])
def test_the_same_digits_by_either_product(
    search_with: SearchWith, hard_points: Tensor, block: int
) -> None:
    with search_with("float32", BLOCK_ROWS=1000):
        expected = assert_nearest(hard_points, [3, 8, 20], queries=9)
    for products in ("bfloat16", "both"):
        with search_with(products, BLOCK_ROWS=block, SPARE=2):
            actual = assert_nearest(hard_points, [3, 8, 20], queries=9)
        assert torch.equal(actual.index, expected.index)
        assert torch.equal(actual.distance, expected.distance)
        assert torch.equal(actual.farthest, expected.farthest)


@pytest.mark.parametrize("spare", [1, 10])  # too few, so that lists are open, or enough
def test_what_float32_cannot_tell_apart_is_told_apart_at_the_cuts(
    search_with: SearchWith, spare: int
) -> None:
    # points 1 to 4 are at one distance from point 0 in float32; in float64 each is nearer than the one before
    steps = torch.tensor([4.0, 3, 2, 1], dtype=torch.float64) * 2.0**-40
    points = torch.cat([steps.new_zeros(1), 1 + steps, 10 * torch.arange(1.0, 30)])
    for products in ("float32", "bfloat16", "both"):
        with search_with(products, SPARE=spare):
            found = assert_nearest(points[:, None], [2, 4])
        # the first is point 0 itself; between cuts, the order is that of the float32 distances, then of the numbers
        assert found.index[0].tolist() == [0, 4, 2, 3]
        assert found.distance[0].tolist() == [0, 1, 1, 1]


def near_ties() -> Tensor:
    """80 points at 1 from point 0, but for steps of 1e-5 that bfloat16 cannot tell apart."""
    points = torch.randn(81, 300, generator=generator_for(0))
    points = torch.nn.functional.normalize(points, dim=1)
    order = torch.randperm(81, generator=generator_for(1))
    points *= 1 + 1e-5 * order[:, None]
    points[0] = 0
    return points


@pytest.mark.parametrize(
    "products, most_open, again",
    [
        ("bfloat16", 1.0, [torch.bfloat16, torch.float32]),  # the open lists
        ("both", 0.0, [torch.bfloat16, torch.float32]),  # all
        ("float32", 1.0, [torch.float32]),
    ],
)
def test_more_near_ties_than_are_listed(
    search_with: SearchWith,
    monkeypatch: pytest.MonkeyPatch,
    products: str,
    most_open: float,
    again: List[torch.dtype],
) -> None:
    tried: List[torch.dtype] = []

    class Watched(RoughDistances):
        def __init__(self, features: JointFeatures, dtype: torch.dtype) -> None:
            tried.append(dtype)
            super().__init__(features, dtype)

    monkeypatch.setattr(neighbours, "RoughDistances", Watched)
    with search_with(products, SPARE=4, FAR=2, MOST_OPEN=most_open):
        assert_nearest(near_ties(), [5, 10])
    assert tried == again


def test_a_single_pair(search_with: SearchWith) -> None:
    for products in ("float32", "bfloat16", "both"):
        with search_with(products):
            found = assert_nearest(torch.tensor([[0.0], [3.0]]), [1, 5])
        assert found.index.tolist() == [[0, 1], [1, 0]]
        assert found.distance.tolist() == [[0, 9], [0, 9]]
        assert found.farthest.tolist() == [9, 9]


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
