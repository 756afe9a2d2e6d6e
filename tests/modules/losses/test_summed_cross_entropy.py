# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch.nn import functional as F
from torchmultimodal_reid.modules.losses import summed_cross_entropy as module
from torchmultimodal_reid.modules.losses.summed_cross_entropy import (
    summed_cross_entropy,
)


@pytest.fixture(params=[1, 7, 1000])
def part(request, monkeypatch):
    """Logits in a part: less than a row, a row, all."""
    monkeypatch.setattr(module, "CPU_PART", request.param)


def example(dtype):
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(5, 7, generator=generator, dtype=torch.float64)
    return logits.to(dtype).requires_grad_(), torch.tensor([0, 6, 3, 3, 2])


def torchs_own(logits, target):
    exact = logits.detach().double().requires_grad_()
    loss = F.cross_entropy(exact, target, reduction="sum")
    (3 * loss).backward()
    return loss.detach(), exact.grad


@pytest.mark.parametrize(
    "dtype, loss_dtype, rtol, atol",
    [
        (torch.float64, torch.float64, 1e-12, 1e-12),
        (torch.float32, torch.float32, 1e-6, 1e-6),
        # a gradient is rounded once, to 8 bits of which the last is half
        (torch.bfloat16, torch.float32, 2**-8, 1e-6),
        (torch.float16, torch.float32, 2**-11, 1e-6),
    ],
)
def test_is_torchs_cross_entropy(part, dtype, loss_dtype, rtol, atol):
    logits, target = example(dtype)
    loss, gradient = torchs_own(logits, target)
    own = summed_cross_entropy(logits, target)
    (3 * own).backward()
    assert own.dtype == loss_dtype and logits.grad.dtype == dtype
    torch.testing.assert_close(own.detach().double(), loss, rtol=1e-6, atol=0)
    torch.testing.assert_close(logits.grad.double(), gradient, rtol=rtol, atol=atol)


def test_gradcheck(part):
    logits, target = example(torch.float64)
    assert torch.autograd.gradcheck(
        lambda given: summed_cross_entropy(given, target), logits
    )


def test_a_loss_scale_reaches_small_gradients():
    # exp(-20) is nothing in float16, 65536 times as much is not
    logits = torch.tensor([[0.0, -20.0]], dtype=torch.float16, requires_grad=True)
    (65536 * summed_cross_entropy(logits, torch.tensor([0]))).backward()
    expected = 65536 * torch.tensor(-20.0).exp()
    assert logits.grad[0, 1].item() == pytest.approx(expected.item(), rel=1e-3)


def test_keeps_nothing_but_the_logits():
    logits, target = example(torch.bfloat16)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor
    ):
        summed_cross_entropy(logits, target)
    assert [tensor.dtype for tensor in kept] == [torch.bfloat16, torch.int64]
    assert all(len(tensor) == 5 for tensor in kept)


def test_no_rows(part):
    logits = torch.zeros(0, 7, requires_grad=True)
    loss = summed_cross_entropy(logits, torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0 and logits.grad.shape == (0, 7)


def test_a_class_that_is_none():
    with pytest.raises(IndexError, match="7 is out of bounds"):
        summed_cross_entropy(torch.zeros(1, 7), torch.tensor([7]))
