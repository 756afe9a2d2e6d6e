# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torchmultimodal_reid.modules.layers.bnneck import BNNeck, BNNeckOutput


@pytest.fixture
def neck():
    neck = BNNeck(embed_dim=2, num_identities=3)
    nn.init.ones_(neck.classifier.weight)
    return neck


@pytest.fixture
def embedding():
    return torch.tensor([[1.0, 10.0], [3.0, 30.0]])


def test_forward(neck, embedding):
    # two samples: batch norm maps the lower to -1 and the higher to 1 in each channel
    expected = BNNeckOutput(
        embedding,
        torch.tensor([[-1.0, -1.0], [1.0, 1.0]]),
        torch.tensor([[-2.0] * 3, [2.0] * 3]),
    )
    torch.testing.assert_close(neck(embedding), expected, rtol=0, atol=1e-4)


def test_evaluation_has_the_same_fields(neck, embedding):
    # running statistics of a new neck are mean 0 and variance 1
    expected = BNNeckOutput(
        embedding, embedding, torch.tensor([[11.0] * 3, [33.0] * 3])
    )
    torch.testing.assert_close(neck.eval()(embedding), expected, rtol=0, atol=1e-3)


def test_the_bias_stays_zero(neck, embedding):
    neck(embedding).logits.square().sum().backward()
    assert neck.norm.bias.grad is None and not neck.norm.bias.any()
    assert neck.norm.weight.grad is not None
    assert neck.classifier.bias is None


def test_wrong_number_of_identities():
    with pytest.raises(ValueError, match="num_identities must be >= 1, got 0"):
        BNNeck(2, 0)
