# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.evaluation import block_search
from torchmultimodal_reid.evaluation.block_search import Extremes, search_blocks
from torchmultimodal_reid.evaluation.joint_features import JointFeatures
from torchmultimodal_reid.evaluation.rough_distances import RoughDistances
from torchmultimodal_reid.utils.seeding import generator_for


def show(extremes: Extremes, values: torch.Tensor, first: int, members: int) -> None:
    """Groups of two neighbouring columns."""
    groups = values.unflatten(1, (-1, 2))
    least = groups.amin(2) if extremes.nothing > 0 else groups.amax(2)
    numbers = torch.arange(values.shape[1]).view(-1, 2) + members
    extremes.show(first, groups, least, numbers)


def test_keeps_the_least_and_with_which_points() -> None:
    near, far = Extremes(3, 2, 1, torch.device("cpu")), Extremes(
        3, 2, -1, torch.device("cpu")
    )
    for extremes in (near, far):
        show(extremes, torch.tensor([[5.0, 3.0, 4.0, 9.0]]), first=1, members=10)
        show(extremes, torch.tensor([[8.0, 2.0], [1.0, 1.0]]), first=1, members=20)
    inf = float("inf")
    assert near.value.tolist() == [[inf, inf], [2, 3], [1, 1]]
    assert near.index[1:].tolist() == [[21, 11], [20, 21]]
    assert far.value.tolist() == [[inf, inf], [-9, -8], [-1, -1]]
    assert far.index[1].tolist() == [13, 20]


def test_what_equals_the_last_of_a_full_list_is_not_looked_at() -> None:
    extremes = Extremes(1, 2, 1, torch.device("cpu"))
    show(extremes, torch.tensor([[4.0, 4.0, 4.0, 4.0]]), 0, 0)
    before = extremes.index.clone()
    show(extremes, torch.tensor([[4.0, 4.0]]), 0, 50)
    assert torch.equal(extremes.index, before)
    assert extremes.value.tolist() == [[4, 4]]


def test_places_without_a_point_are_left_out() -> None:
    inf = float("inf")
    for sign in (1, -1):
        extremes = Extremes(1, 3, sign, torch.device("cpu"))
        show(extremes, torch.tensor([[1.0, sign * inf]]), 0, 7)
        assert extremes.value.tolist() == [[sign, inf, inf]]
        assert extremes.index[0, 0] == 7


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "block, group, elements", [(16, 4, 64), (50, 8, 10**6), (1000, 16, 1)]
)
def test_finds_what_sorting_all_distances_finds(
    dtype: torch.dtype,
    block: int,
    group: int,
    elements: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(block_search, "BLOCK_ROWS", block)
    monkeypatch.setattr(block_search, "GROUP", group)
    monkeypatch.setattr(block_search, "ELEMENTS", elements)
    # whole numbers: products are exact, whichever blocks they come in; distances repeat
    points = torch.randint(-3, 4, (90, 12), generator=generator_for(0)).float()
    points = torch.cat([points, -points])
    rough = RoughDistances(JointFeatures(points[:9], points[9:]), dtype)
    every = torch.empty(180, 180)
    rough.multiply(rough.factors, rough.factors, every)
    every = every + rough.low + rough.low[:, None]
    found = search_blocks(rough, 13, 5)
    for extremes, sign in zip(found, (1, -1)):
        count = extremes.value.shape[1]
        expected = (every * sign).sort(dim=1).values[:, :count]
        torch.testing.assert_close(extremes.value, expected, rtol=1e-6, atol=1e-6)
        own = (every * sign).gather(1, extremes.index)
        torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-6)
        assert all(len(set(row)) == count for row in extremes.index.tolist())
