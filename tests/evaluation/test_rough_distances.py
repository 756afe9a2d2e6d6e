# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, Dict

import pytest
import torch
from torch import Tensor
from torchmultimodal_reid.evaluation import rough_distances
from torchmultimodal_reid.evaluation.joint_features import JointFeatures
from torchmultimodal_reid.evaluation.rough_distances import (
    has_quick_bfloat16,
    product_dtypes,
    RoughDistances,
)
from torchmultimodal_reid.utils.seeding import generator_for

DTYPES = [torch.float32, torch.bfloat16]


def random_points(dim: int) -> Tensor:
    return torch.randn(40, dim, generator=generator_for(dim))


def all_rough(rough: RoughDistances) -> Tensor:
    result = torch.empty(len(rough.low), len(rough.low))
    rough.multiply(rough.factors, rough.factors, result)
    return result + rough.low + rough.low[:, None]


def all_exact(features: JointFeatures) -> Tensor:
    every = torch.arange(len(features))
    first, second = every.repeat_interleave(len(every)), every.repeat(len(every))
    exact = features.exact_distances(first, second)
    return exact.view(len(every), len(every))


def assert_within_limits(points: Tensor, dtype: torch.dtype) -> None:
    features = JointFeatures(points[:9], points[9:])
    rough = RoughDistances(features, dtype)
    distances, exact = all_rough(rough), all_exact(features).float()
    assert distances.isfinite().all()
    assert (distances <= rough.near_limit(exact)).all()
    for place in range(len(points)):
        assert (distances[:, place] >= rough.far_limit(exact[:, place])).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_pair_is_outside_its_limits(hard_points: Tensor, dtype: torch.dtype) -> None:
    assert_within_limits(hard_points, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [1, 2, 17, 300, 2048])
def test_limits_hold_in_any_dimension(dim: int, dtype: torch.dtype) -> None:
    assert_within_limits(random_points(dim), dtype)


@pytest.mark.parametrize("dtype, width", list(zip(DTYPES, [5e-6, 0.005])))
def test_limits_are_narrow(dtype: torch.dtype, width: float) -> None:
    # limits that leave all points as candidates would hold as well
    points = random_points(2048)
    features = JointFeatures(points[:9], points[9:])
    rough = RoughDistances(features, dtype)
    room = rough.near_limit(all_exact(features).float()) - all_rough(rough)
    both = features.norms + features.norms[:, None]
    others = ~torch.eye(40, dtype=torch.bool)
    assert (room / both)[others].max() < width
    # a point itself has the largest product, and the most is taken from that
    assert (room / both).max() < 2 * width


@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_whose_squares_are_too_small_for_float32(dtype: torch.dtype) -> None:
    points = random_points(40)
    points[1:] *= 2.0**-70
    points[20:] = points[:20]
    features = JointFeatures(points[:1], points[1:])
    # as if their mean were at the origin
    features.rows, features.norms = points, points.square().sum(1)
    rough = RoughDistances(features, dtype)
    between_copies = all_rough(rough).diagonal(20)
    assert (between_copies <= rough.near_limit(torch.tensor(0.0))).all()


def test_autocast_changes_no_product() -> None:
    points = random_points(40)
    rough = RoughDistances(JointFeatures(points[:9], points[9:]), torch.bfloat16)
    expected = all_rough(rough)
    with torch.autocast("cpu", torch.float16):
        assert torch.equal(all_rough(rough), expected)


@pytest.mark.parametrize(
    "capabilities, expected",
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({"neon": True, "bf16": True}, False),
    ],
)
def test_bfloat16_where_it_is_quick(
    capabilities: Dict[str, Any], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: capabilities, raising=False
    )
    assert has_quick_bfloat16() is expected
    monkeypatch.setattr(rough_distances, "MIN_POINTS", 40)
    monkeypatch.setattr(rough_distances, "MIN_DIM", 8)
    quick = [torch.bfloat16, torch.float32] if expected else [torch.float32]
    for count, dim, dtypes in (
        (40, 8, quick),
        (39, 8, [torch.float32]),
        (40, 7, [torch.float32]),
    ):
        points = torch.ones(count, dim)
        assert product_dtypes(JointFeatures(points[:1], points[1:])) == dtypes


def test_float32_where_torch_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert has_quick_bfloat16() is False
    monkeypatch.undo()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert has_quick_bfloat16() is False
