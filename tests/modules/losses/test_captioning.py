# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math

import pytest
import torch
from torchmultimodal_reid.modules.losses.captioning import (
    CaptioningLoss,
    TokenClassificationLoss,
    words_of,
)


def test_the_sum_of_both_directions():
    forward = torch.zeros(3, 5)
    backward = torch.zeros(2, 5)
    backward[0, 1] = 100.0
    loss = CaptioningLoss()(
        forward, torch.tensor([0, 4, 2]), backward, torch.tensor([1, 3])
    )
    assert loss.forward.item() == pytest.approx(math.log(5))
    assert loss.backward.item() == pytest.approx(math.log(5) / 2)
    assert loss.total.item() == pytest.approx(math.log(5) * 3 / 2)


def test_one_direction():
    loss = CaptioningLoss()(torch.zeros(3, 5), torch.tensor([0, 4, 2]))
    assert loss.backward is None
    assert loss.total.item() == loss.forward.item() == pytest.approx(math.log(5))


def test_nothing_but_padding():
    weight = torch.ones(3, 5, requires_grad=True)
    nothing, target = torch.zeros(0, 3) @ weight, torch.zeros(0, dtype=torch.long)
    loss = CaptioningLoss()(nothing, target, nothing, target)
    loss.total.backward()
    assert loss.total.item() == 0
    assert torch.equal(weight.grad, torch.zeros_like(weight))


def test_half_a_direction():
    with pytest.raises(ValueError, match="needs backward_logits and backward_target"):
        CaptioningLoss()(torch.zeros(1, 5), torch.tensor([0]), torch.zeros(1, 5))


def test_token_classification():
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [math.log(3), 0.0, 0.0, -1e9]])
    words = torch.tensor([[True, False, False, True], [True, True, False, False]])
    loss = TokenClassificationLoss()(logits, words)
    second = (math.log(5 / 3) + math.log(5)) / 2
    assert loss.item() == pytest.approx((math.log(4) + second) / 2)


def test_images_without_words_are_left_out():
    logits = torch.zeros(3, 4, requires_grad=True)
    words = torch.zeros(3, 4, dtype=torch.bool)
    loss = TokenClassificationLoss()(logits, words)
    loss.backward()
    assert loss.item() == 0 and torch.equal(logits.grad, torch.zeros(3, 4))
    words[1, 2] = True
    assert TokenClassificationLoss()(logits, words).item() == pytest.approx(math.log(4))


def test_words_of_a_caption():
    text = torch.tensor([[2, 5, 6, 5, 3], [2, 4, 3, 6, 6]])
    padding = torch.tensor([[False] * 5, [False, False, False, True, True]])
    words = words_of(text, padding, 8, torch.tensor([0, 1, 2, 3]))
    assert [row.nonzero().flatten().tolist() for row in words] == [[5, 6], [4]]
    words = words_of(text, None, 8, torch.tensor([0, 1, 2, 3]))
    assert words[1].nonzero().flatten().tolist() == [4, 6]


def test_wrong_shapes():
    with pytest.raises(ValueError, match=r"got \(2, 4\) and \(2, 5\)"):
        TokenClassificationLoss()(torch.zeros(2, 4), torch.zeros(2, 5).bool())
