# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torchmultimodal_reid.modules.layers.initialization import (
    initialize_transformer_weights,
    sine_positions,
)


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 8, padding_idx=3)
        self.dense = nn.Linear(8, 8)
        self.no_bias = nn.Linear(8, 8, bias=False)
        self.conv = nn.Conv2d(3, 8, 2)
        self.norm = nn.LayerNorm(8)
        self.cls_token = nn.Parameter(torch.full((1, 1, 8), 5.0))
        self.scale = nn.Parameter(torch.tensor(5.0))


@pytest.fixture
def part():
    torch.manual_seed(0)
    part = Part()
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.fill_(5.0)
    initialize_transformer_weights(part)
    return part


def test_biases_norms_and_padding(part):
    assert not part.dense.bias.any() and not part.conv.bias.any()
    assert (part.norm.weight == 1).all() and not part.norm.bias.any()
    assert not part.words.weight[3].any()
    assert part.words.weight[torch.arange(50) != 3].all()


def test_tokens_are_drawn(part):
    # at zero, two class tokens could not be told apart at first
    assert part.cls_token.unique().numel() == 8
    assert part.cls_token.abs().max() < 0.1


def test_other_parameters_stay(part):
    assert part.scale == 5


@pytest.mark.parametrize("width", [64, 512])
def test_outputs_are_as_large_as_inputs(width):
    torch.manual_seed(0)
    dense, conv = nn.Linear(width, 400), nn.Conv2d(width // 4, 400, 2)
    initialize_transformer_weights(nn.ModuleList([dense, conv]))
    output = dense(torch.randn(100, width))
    assert 0.9 < output.std() < 1.1
    output = conv(torch.randn(100, width // 4, 2, 2))
    assert 0.9 < output.std() < 1.1


class TestSinePositions:
    def test_values(self):
        positions = sine_positions((2, 3), 8)
        assert positions.shape == (1, 1 + 6, 8)
        assert not positions[:, 0].any()
        patches = positions[0, 1:].view(2, 3, 8)
        angles = torch.tensor([1.0, 0.01])  # of one step, at the two frequencies
        for row in range(2):
            for column in range(3):
                expected = torch.cat(
                    [
                        wave(place * angles)
                        for place in (column, row)
                        for wave in (torch.sin, torch.cos)
                    ]
                )
                torch.testing.assert_close(patches[row, column], expected)

    def test_no_two_patches_share_one(self):
        patches = sine_positions((16, 8), 16)[0, 1:]
        distance = torch.cdist(patches, patches) + torch.eye(128) * 9
        assert distance.min() > 0.1

    def test_wrong_width(self):
        with pytest.raises(ValueError, match="multiple of 4 .* got 6"):
            sine_positions((2, 3), 6)
