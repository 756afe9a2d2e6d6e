# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import Tensor
from torchmultimodal_reid.evaluation import joint_features
from torchmultimodal_reid.evaluation.joint_features import JointFeatures
from torchmultimodal_reid.utils.seeding import generator_for


def all_pairs(count: int) -> Tensor:
    every = torch.arange(count)
    return torch.stack([every.repeat_interleave(count), every.repeat(count)])


def test_quick_distances_are_within_their_tolerance(hard_points: Tensor) -> None:
    features = JointFeatures(hard_points[:9], hard_points[9:])
    pairs = all_pairs(60)
    quick = features.quick_distances(*pairs)
    off = (quick.double() - features.exact_distances(*pairs)).abs().view(60, 60)
    for place, distance in enumerate(quick.view(60, 60).T):
        assert (off[:, place] <= features.tolerance(distance)).all()
        # neither is all in doubt
        clear = distance > features.norms * 1e-4
        assert (features.tolerance(distance)[clear] < distance[clear] * 0.01).all()


def test_quick_digits_do_not_depend_on_the_other_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = torch.randn(30, 500, generator=generator_for(0))
    features = JointFeatures(points[:9], points[9:])
    first, second = all_pairs(30)
    expected = features.quick_distances(first, second)
    assert torch.equal(features.quick_distances(second, first), expected)
    monkeypatch.setattr(joint_features, "QUICK_ELEMENTS", 2000)
    assert torch.equal(features.quick_distances(first, second), expected)
    assert len(features.quick_distances(first[:0], second[:0])) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_float32_could_not_square_is_scaled(dtype: torch.dtype) -> None:
    points = torch.tensor([[0.0, 3.0], [4.0, 0.0], [0.0, -1.0]], dtype=dtype)
    assert JointFeatures(points[:1], points[1:]).scale == 1
    for factor in (2.0**-140, 2.0**60, 2.0**-25):
        features = JointFeatures(points[:1] * factor, points[1:] * factor)
        # the greatest, 4, comes to between 1 and 2
        assert features.scale == 1 / factor / 4
        distances = features.quick_distances(*all_pairs(3)).view(3, 3) * 16
        expected = torch.tensor([[0.0, 25, 16], [25, 0, 17], [16, 17, 0]])
        torch.testing.assert_close(distances, expected)


def test_what_is_left_of_features_that_share_the_rest_is_scaled() -> None:
    points = 1 + torch.arange(3.0, dtype=torch.float64)[:, None] * 2.0**-50
    features = JointFeatures(points[:1], points[1:])
    assert features.rows.flatten().tolist() == [-1, 0, 1]
    assert features.scale == 2.0**50
    distances = features.exact_distances(torch.tensor([0, 0]), torch.tensor([1, 2]))
    assert distances.tolist() == [1, 4]


def test_cosine_does_not_depend_on_lengths() -> None:
    points = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]])
    first, second = all_pairs(3)
    expected = JointFeatures(points[:1], points[1:], "cosine")
    for factor in (1e-8, 1e15):
        scaled = JointFeatures(points[:1] * factor, points[1:], "cosine")
        assert scaled.scale == 1
        torch.testing.assert_close(
            scaled.quick_distances(first, second),
            expected.quick_distances(first, second),
        )
