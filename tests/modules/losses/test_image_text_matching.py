# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math

import pytest
import torch
from torchmultimodal_reid.modules.losses import image_text_matching
from torchmultimodal_reid.modules.losses.image_text_matching import (
    hard_negatives,
    ImageTextMatchingLoss,
)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_negatives_are_other_identities(generator):
    rows = torch.tensor([0, 0, 1, 2]).repeat(100)
    columns = torch.tensor([2, 1, 1, 0, 0])
    # the own identity is by far the most similar
    similarity = 100.0 * (rows.unsqueeze(1) == columns)
    drawn = columns[hard_negatives(similarity, rows, columns, generator)]
    assert (drawn != rows).all()
    assert {(a, b) for a, b in zip(rows.tolist(), drawn.tolist())} == {
        (a, b) for a in range(3) for b in range(3) if a != b
    }


def test_negatives_follow_the_softmax(generator):
    logits = torch.tensor([0.0, math.log(2.0), 50.0, math.log(5.0)])
    rows = torch.zeros(20000, dtype=torch.long)
    drawn = hard_negatives(
        logits.expand(20000, -1), rows, torch.tensor([1, 2, 0, 2]), generator
    )
    shares = torch.bincount(drawn, minlength=4) / 20000
    # the third column is of the own identity; deviations below 0.0035
    torch.testing.assert_close(
        shares, torch.tensor([1 / 8, 2 / 8, 0.0, 5 / 8]), rtol=0, atol=0.02
    )


def test_without_another_identity(generator):
    rows = torch.tensor([0, 0, 1])
    drawn = hard_negatives(torch.zeros(3, 2), rows, torch.tensor([0, 0]), generator)
    assert drawn[:2].tolist() == [-1, -1] and drawn[2] in (0, 1)


@pytest.mark.parametrize("value", [1e38, -1e38, float("inf"), -float("inf"), 3e5, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_similarities(value, dtype, generator):
    identity = torch.tensor([0, 0, 1, 1])
    similarity = torch.full((4, 4), value, dtype=dtype)
    drawn = hard_negatives(similarity, identity, identity, generator)
    assert (identity[drawn] != identity).all()


def test_the_most_similar_wins_where_the_others_vanish(generator):
    similarity = torch.tensor([[0.0, -1e30, 300.0, 200.0]])
    drawn = hard_negatives(similarity, torch.tensor([4]), torch.arange(4), generator)
    assert drawn.tolist() == [2]


def test_a_draw_of_zero_does_not_choose_the_own_identity(monkeypatch):
    # the noise is minus infinity where the uniform number is 0, once in 16 million draws
    monkeypatch.setattr(image_text_matching, "uniform", lambda *args: torch.zeros(1, 3))
    drawn = hard_negatives(
        torch.zeros(1, 3), torch.tensor([0]), torch.tensor([0, 0, 1])
    )
    assert drawn.tolist() == [2]


def test_negatives_are_a_function_of_the_generator():
    identity = torch.arange(64)
    before = torch.get_rng_state()
    first, again, other = (
        hard_negatives(
            torch.zeros(64, 64), identity, identity, torch.Generator().manual_seed(seed)
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before), "touched the global generator"


def test_no_columns():
    empty = torch.zeros(0, dtype=torch.long)
    assert hard_negatives(torch.zeros(2, 0), torch.arange(2), empty).tolist() == [
        -1,
        -1,
    ]
    assert hard_negatives(torch.zeros(0, 2), empty, torch.arange(2)).shape == (0,)


def test_negatives_that_do_not_fit():
    with pytest.raises(
        ValueError, match=r"\(rows, columns\) = \(3, 2\) .* got \(2, 3\)"
    ):
        hard_negatives(torch.zeros(2, 3), torch.arange(3), torch.arange(2))


def test_matching_loss():
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, math.log(3.0)]])
    loss = ImageTextMatchingLoss()(logits, torch.tensor([True, False]))
    assert loss.item() == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2)


def test_matching_loss_of_nothing():
    logits = torch.zeros(0, 2, requires_grad=True)
    loss = ImageTextMatchingLoss()(logits, torch.zeros(0, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None


def test_matching_loss_that_does_not_fit():
    with pytest.raises(ValueError, match=r"got \(3, 1\) and \(3,\)"):
        ImageTextMatchingLoss()(torch.zeros(3, 1), torch.ones(3, dtype=torch.bool))
