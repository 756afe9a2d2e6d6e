# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math

import pytest
import torch
from torchmultimodal_reid.modules.losses.triplet import BatchHardTripletLoss

# points on a line: two persons, the second's are apart
POINTS = torch.tensor([[0.0], [1.0], [4.0], [9.0]])
IDENTITY = torch.tensor([0, 0, 1, 1])
# farthest of the same minus nearest of the other: 1 - 4, 1 - 3, 5 - 3, 5 - 8
GAPS = [-3.0, -2.0, 2.0, -3.0]


def test_margin():
    loss = BatchHardTripletLoss(margin=2.5)(POINTS, IDENTITY)
    assert loss.item() == pytest.approx(sum(max(0.0, gap + 2.5) for gap in GAPS) / 4)


def test_soft_margin():
    loss = BatchHardTripletLoss(margin=None)(POINTS, IDENTITY)
    assert loss.item() == pytest.approx(
        sum(math.log1p(math.exp(gap)) for gap in GAPS) / 4
    )


def loop(anchors, identity, others, other_identity, self_offset, margin):
    """The definition, one anchor at a time."""
    losses = []
    for i in range(len(anchors)):
        distance = [(anchors[i] - other).norm().item() for other in others]
        is_self = [
            self_offset is not None and j == i + self_offset for j in range(len(others))
        ]
        same = [identity[i] == label for label in other_identity]
        positive = [d for d, s, me in zip(distance, same, is_self) if s and not me]
        negative = [d for d, s in zip(distance, same) if not s]
        if positive and negative:
            losses.append(max(0.0, max(positive) - min(negative) + margin))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("margin", [0.3, 2.0])
def test_equals_the_definition(margin):
    generator = torch.Generator().manual_seed(0)
    anchors, others = torch.randn(40, 3, generator=generator).split((16, 24))
    identity, other_identity = torch.randint(6, (40,), generator=generator).split(
        (16, 24)
    )
    module = BatchHardTripletLoss(margin)
    expected = loop(anchors, identity, anchors, identity, 0, margin)
    assert module(anchors, identity).item() == pytest.approx(expected, rel=1e-5)
    expected = loop(anchors, identity, others, other_identity, None, margin)
    assert module(anchors, identity, others, other_identity).item() == pytest.approx(
        expected, rel=1e-5
    )
    both, labels = torch.cat((others, anchors)), torch.cat((other_identity, identity))
    expected = loop(anchors, identity, both, labels, 24, margin)
    assert module(
        anchors, identity, both, labels, self_offset=24
    ).item() == pytest.approx(expected, rel=1e-5)


def test_only_the_hardest_have_gradients():
    points = POINTS.clone().requires_grad_()
    BatchHardTripletLoss(margin=0.3)(points, IDENTITY).backward()
    # only the third anchor is active: away from the second point, towards the fourth
    assert points.grad.flatten().tolist() == pytest.approx([0.0, 1 / 4, -2 / 4, 1 / 4])


def test_gathered_candidates_give_what_one_process_would():
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(8, 3, generator=generator, requires_grad=True)
    identity = torch.tensor([0, 1, 0, 2, 2, 1, 0, 1])
    module = BatchHardTripletLoss()
    whole = module(points, identity)
    expected = torch.autograd.grad(whole, points)
    halves = []
    for offset in (0, 4):
        own = slice(offset, offset + 4)
        halves.append(
            module(points[own], identity[own], points, identity, self_offset=offset)
        )
    mean = sum(halves) / 2
    torch.testing.assert_close(mean, whole)
    torch.testing.assert_close(torch.autograd.grad(mean, points), expected)


def test_across_modalities_the_own_caption_is_a_positive():
    image, text = torch.tensor([[0.0], [10.0]]), torch.tensor([[2.0], [9.0]])
    identity = torch.tensor([0, 1])
    # 2 - 9 and 1 - 8
    loss = BatchHardTripletLoss(margin=8.0)(image, identity, text, identity)
    assert loss.item() == pytest.approx(1.0)


@pytest.mark.parametrize("margin", [0.3, None])
def test_coinciding_embeddings(margin):
    points = torch.ones(4, 3, requires_grad=True)
    loss = BatchHardTripletLoss(margin)(points, IDENTITY)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2) if margin is None else margin)
    assert points.grad.eq(0).all()


def test_small_distances_far_from_the_origin():
    # squares of 8192 leave float32 no digits for a distance of 0.125
    points = torch.tensor([[0.0], [0.125], [0.5], [0.25]]) + 8192
    loss = BatchHardTripletLoss(margin=1.0)(points, torch.tensor([0, 0, 1, 1]))
    # 0.125 - 0.25, 0.125 - 0.125, 0.25 - 0.375, 0.25 - 0.125
    assert loss.item() == pytest.approx(1.0 - 0.125 / 4)


def test_anchors_without_a_positive_or_a_negative_do_not_count():
    # the third has no other image of its person
    loss = BatchHardTripletLoss(margin=5.0)(POINTS[:3], torch.tensor([0, 0, 1]))
    assert loss.item() == pytest.approx((2.0 + 3.0) / 2)


@pytest.mark.parametrize("identity", [[0, 0, 0, 0], [0, 1, 2, 3]])
@pytest.mark.parametrize("margin", [0.3, None])
def test_no_anchor_counts(identity, margin):
    points = POINTS.clone().requires_grad_()
    loss = BatchHardTripletLoss(margin)(points, torch.tensor(identity))
    loss.backward()
    assert loss.item() == 0 and points.grad.eq(0).all()


def test_empty():
    points = torch.zeros(0, 3, requires_grad=True)
    empty = torch.zeros(0, dtype=torch.long)
    loss = BatchHardTripletLoss()(points, empty)
    loss.backward()
    assert loss.item() == 0
    assert BatchHardTripletLoss()(POINTS, IDENTITY, points[:, :1], empty).item() == 0


def test_half_precision_and_autocast():
    expected = BatchHardTripletLoss()(POINTS, IDENTITY)
    points = POINTS.bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = BatchHardTripletLoss()(points, IDENTITY)
    loss.backward()
    assert torch.equal(loss, expected) and points.grad.isfinite().all()


def test_wrong_arguments():
    with pytest.raises(
        ValueError, match="margin must be >= 0, or None for the soft margin, got -1"
    ):
        BatchHardTripletLoss(-1)
    module = BatchHardTripletLoss()
    with pytest.raises(ValueError, match="together, or neither"):
        module(POINTS, IDENTITY, POINTS)
    with pytest.raises(ValueError, match="self_offset is 0, but"):
        module(POINTS, IDENTITY, self_offset=0)
    with pytest.raises(ValueError, match=r"identity \(n,\), got \(4, 1\) and \(3,\)"):
        module(POINTS, IDENTITY[:3])
    with pytest.raises(
        ValueError, match=r"other_embedding must be \(n, 1\) .* got \(4, 2\) and \(4,\)"
    ):
        module(POINTS, IDENTITY, torch.zeros(4, 2), IDENTITY)
    with pytest.raises(
        ValueError, match="self_offset 1 puts 4 anchors outside of the 4 candidates"
    ):
        module(POINTS, IDENTITY, POINTS, IDENTITY, self_offset=1)
