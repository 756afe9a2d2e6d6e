# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import warnings
from typing import NamedTuple, Optional

import pytest
import torch
from torch import nn, Tensor
from torch.nn import functional as F
from torchmultimodal_reid.utils.summary import count_flops, model_summary


class Output(NamedTuple):
    tokens: Tensor
    nothing: Optional[Tensor]


class Attention(nn.Module):
    def forward(self, query, key):
        return F.scaled_dot_product_attention(query, key, key)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Linear(8, 4, bias=False)
        self.text = nn.Linear(6, 4, bias=False)

    def forward(self, image=None, text=None, scale=1.0):
        tokens = self.image(image) if image is not None else self.text(text)
        return Output(tokens * scale, None)


def row(table, name):
    line = next(line for line in table.split("\n") if line.split()[0] == name)
    return line.split()[1:]


def test_linear_is_one_flop_a_multiply_add():
    table = model_summary(nn.Linear(8, 4), torch.zeros(2, 8))
    assert row(table, "Linear") == ["36", "64"]


def test_count_leaves_the_mode(recwarn):
    model = nn.Sequential(nn.Linear(8, 4), nn.Dropout(0.5)).train()
    assert count_flops(model, torch.zeros(2, 8)) == 64
    assert model.training and model[1].training
    assert not recwarn.list


def test_attention_is_counted():
    # 2 heads, 5 queries, 7 keys, 4 channels: scores and weighted values take 2 * 5 * 7 * 4 each
    query, key = torch.zeros(1, 2, 5, 4), torch.zeros(1, 2, 7, 4)
    assert row(model_summary(Attention(), [query, key]), "Attention") == ["0", "560"]
    assert count_flops(Attention(), [query, key]) == 560


def test_multi_head_attention_in_evaluation_mode_is_counted():
    layer = nn.MultiheadAttention(4, 2, batch_first=True).eval()
    x = torch.zeros(1, 3, 4)

    class SelfAttention(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, x, x, need_weights=False)[0]

    # 4 projections of 3 x 4 x 4, and attention 2 heads x 3 x 3 x (2 + 2)
    assert row(model_summary(SelfAttention(), x), "layer")[1] == str(4 * 48 + 72)


@pytest.mark.parametrize(
    "inputs, used, unused, flops",
    [
        ({"image": torch.zeros(3, 8)}, "image", "text", "96"),
        ({"text": torch.zeros(3, 6), "scale": 2.0}, "text", "image", "72"),
        ((None, torch.zeros(3, 6)), "text", "image", "72"),
    ],
)
def test_each_kind_of_input(inputs, used, unused, flops):
    table = model_summary(TwoInputs(), inputs)
    assert row(table, used)[1] == flops
    assert row(table, unused)[1] == "0"


def test_depth():
    model = nn.Sequential(nn.Sequential(nn.Sequential(nn.Linear(1, 1))))
    assert "0.0.0" not in model_summary(model, torch.zeros(1, 1), max_depth=2)
    assert "0.0.0" in model_summary(model, torch.zeros(1, 1), max_depth=3)


def test_model_is_left_as_it_was_and_nothing_is_printed(capfd):
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(), nn.GELU())
    model[1].eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = model_summary(model, torch.ones(3, 2))
    assert model.training and model[0].training and not model[1].training
    assert model[0].num_batches_tracked.item() == 0
    assert "Not counted: gelu" in table
    assert capfd.readouterr() == ("", "")
