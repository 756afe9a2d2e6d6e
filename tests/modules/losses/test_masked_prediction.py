# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math

import pytest
import torch
from torchmultimodal_reid.modules.losses.masked_prediction import (
    MaskedClassificationLoss,
    MaskedRegressionLoss,
)


def test_regression():
    prediction = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    target = torch.tensor([[1.0, 0.0], [0.0, 4.0]])
    assert MaskedRegressionLoss()(prediction, target).item() == pytest.approx(
        (4 + 9) / 4
    )


def test_classification():
    logits = torch.zeros(3, 5)
    logits[2, 1] = 100.0
    loss = MaskedClassificationLoss()(logits, torch.tensor([0, 4, 1]))
    assert loss.item() == pytest.approx(math.log(5) * 2 / 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "loss, target",
    [
        (MaskedRegressionLoss(), torch.zeros(0, 4)),
        (MaskedClassificationLoss(), torch.zeros(0, dtype=torch.long)),
    ],
)
def test_nothing_masked(loss, target, dtype):
    weight = torch.ones(3, 4, dtype=dtype, requires_grad=True)
    out = loss(torch.zeros(0, 3, dtype=dtype) @ weight, target)
    out.backward()
    assert out.item() == 0
    assert torch.equal(weight.grad, torch.zeros_like(weight))


def test_half_precision_is_summed_in_float32():
    # 4096 squares of 100 overflow float16
    half = torch.full((64, 64), 10.0, dtype=torch.float16)
    loss = MaskedRegressionLoss()(half, torch.zeros(64, 64))
    assert loss.item() == 100 and loss.dtype == torch.float32
    # in bfloat16 a sum of 4096 times log(2) ends at 256
    logits = torch.zeros(4096, 2, dtype=torch.bfloat16)
    loss = MaskedClassificationLoss()(logits, torch.zeros(4096, dtype=torch.long))
    assert loss.item() == pytest.approx(math.log(2))


def test_wrong_shapes():
    # these would broadcast
    with pytest.raises(ValueError, match=r"same shape, got \(4, 2\) and \(4, 1\)"):
        MaskedRegressionLoss()(torch.zeros(4, 2), torch.zeros(4, 1))
    with pytest.raises(ValueError, match=r"got \(4, 2\) and \(3,\)"):
        MaskedClassificationLoss()(torch.zeros(4, 2), torch.zeros(3, dtype=torch.long))
