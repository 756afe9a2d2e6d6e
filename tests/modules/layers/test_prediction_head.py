# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import torch
from torch import nn
from torchmultimodal_reid.modules.layers.prediction_head import PredictionHead


def test_dense_gelu_norm_output():
    head = PredictionHead(d_model=2, out_dim=3)
    with torch.no_grad():
        head.dense.weight.copy_(torch.eye(2))
        head.dense.bias.zero_()
        head.output.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]]))
        head.output.bias.copy_(torch.tensor([0.0, 10.0, 0.0]))
    # GELU leaves 100 and brings -100 to 0, the norm makes 1 and -1 of them
    expected = torch.tensor([[1.0, 9.0, 3.0], [-1.0, 11.0, -3.0]])
    output = head(torch.tensor([[100.0, -100.0], [-100.0, 100.0]]))
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-5)


def test_nothing_was_masked():
    head = PredictionHead(d_model=2, out_dim=3)
    output = head(torch.zeros(0, 2))
    assert output.shape == (0, 3)
    output.sum().backward()
    assert all(not parameter.grad.any() for parameter in head.parameters())


def test_epsilon():
    assert PredictionHead(2, 3, layer_norm_eps=0.5).norm.eps == 0.5
    assert isinstance(PredictionHead(2, 3).norm, nn.LayerNorm)
