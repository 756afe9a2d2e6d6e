# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.modules.losses.center import CenterLoss

POINTS = torch.tensor([[2.0, 0.0], [4.0, 0.0], [0.0, 3.0]])
IDENTITY = torch.tensor([1, 1, 2])


@pytest.fixture
def loss():
    return CenterLoss(embed_dim=2, num_identities=4, rate=0.5)


def test_is_the_mean_squared_distance_to_centres_that_begin_at_zero(loss):
    assert loss(POINTS, IDENTITY).item() == pytest.approx((4 + 16 + 9) / 3)


def test_centres_move_by_the_rule_of_the_paper(loss):
    loss(POINTS, IDENTITY)
    # 0.5 * (2 + 4) / (1 + 2) and 0.5 * 3 / (1 + 1); who was not there stays
    expected = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.75], [0.0, 0.0]])
    torch.testing.assert_close(loss.centers, expected)
    assert loss(POINTS, IDENTITY).item() == pytest.approx((1 + 9 + 2.25**2) / 3)


def test_centres_reach_the_mean_of_their_identity(loss):
    for _ in range(60):
        loss(POINTS, IDENTITY)
    torch.testing.assert_close(loss.centers[1:3], torch.tensor([[3.0, 0], [0, 3.0]]))


def test_evaluation_moves_nothing(loss):
    loss.eval()(POINTS, IDENTITY)
    assert not loss.centers.any()


def test_gradient_is_that_of_fixed_centres(loss):
    points = POINTS.clone().requires_grad_()
    loss(points, IDENTITY).backward()
    torch.testing.assert_close(points.grad, 2 * POINTS / 3)
    assert not list(loss.parameters()) and list(loss.state_dict()) == ["centers"]


def test_two_processes_do_what_one_does(loss):
    alone = CenterLoss(2, 4)
    points, identity = torch.cat([POINTS, POINTS[:1]]), torch.tensor([1, 1, 2, 3])
    expected = alone(points, identity)
    shares = [(points[:2], identity[:2]), (points[2:], identity[2:])]
    processes = [CenterLoss(2, 4) for _ in shares]
    values = [
        process(*share, points, identity) for process, share in zip(processes, shares)
    ]
    torch.testing.assert_close(sum(values) / 2, expected)
    for process in processes:
        torch.testing.assert_close(process.centers, alone.centers)


def test_float32_under_autocast(loss):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(POINTS.bfloat16() * 100.5, IDENTITY)
    assert value.dtype == loss.centers.dtype == torch.float32


def test_empty_batch(loss):
    points = torch.zeros(0, 2, requires_grad=True)
    value = loss(points, torch.zeros(0, dtype=torch.long))
    value.backward()
    assert value.item() == 0 and not loss.centers.any()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0, 4), "must be >= 1, got 0 and 4"),
        ((2, 0), "must be >= 1, got 2 and 0"),
        ((2, 4, 0.0), "rate must be above 0 and at most 1, got 0.0"),
        ((2, 4, 1.5), "rate must be above 0 and at most 1, got 1.5"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CenterLoss(*arguments)


def test_shapes_that_do_not_fit(loss):
    with pytest.raises(ValueError, match=r"must be \(n, 2\) .* got \(3, 3\) and \(3,"):
        loss(torch.zeros(3, 3), IDENTITY)
    with pytest.raises(ValueError, match=r"^gathered_embedding must be \(n, 2\)"):
        loss(POINTS, IDENTITY, POINTS, IDENTITY[:2])
    with pytest.raises(ValueError, match="together, or neither"):
        loss(POINTS, IDENTITY, POINTS)
