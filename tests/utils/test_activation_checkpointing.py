# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import copy
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torchmultimodal_reid.models.mmet import mmet_tiny
from torchmultimodal_reid.utils.activation_checkpointing import checkpoint_activations


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 64)
        self.outer = nn.Linear(64, 4)
        self.dropout = nn.Dropout(0.5)
        self.calls = 0

    def forward(self, tokens, scale=1.0):
        self.calls += 1
        return tokens + scale * self.outer(self.dropout(self.inner(tokens).tanh()))


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Layer(), Layer()])

    def forward(self, tokens):
        for layer in self.layers:
            tokens = layer(tokens, scale=0.5)
        return tokens


def kept(model, tokens):
    """Numbers that wait for the backward pass."""
    sizes = []

    def keep(tensor):
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(tokens).sum().backward()
    return sum(sizes)


@pytest.fixture
def models():
    torch.manual_seed(0)
    plain = Stack()
    again = copy.deepcopy(plain)
    assert checkpoint_activations(again) == 2
    return plain, again


def test_gradients_with_dropout_stay_the_same(models):
    gradients = []
    for model in models:
        torch.manual_seed(1)
        model(torch.ones(3, 4)).square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*gradients):
        assert torch.equal(one, other)
    assert [layer.calls for layer in models[1].layers] == [2, 2]


def test_names_stay(models):
    plain, again = models
    assert list(again.state_dict()) == list(plain.state_dict())
    names = [[name for name, _ in model.named_parameters()] for model in models]
    assert names[0] == names[1]


def test_keeps_the_inputs_alone(models):
    plain, again = (kept(model, torch.ones(30, 4)) for model in models)
    assert again < plain / 10


def test_evaluation_computes_once(models):
    again = models[1].eval()
    again(torch.ones(3, 4)).sum().backward()
    assert [layer.calls for layer in again.layers] == [1, 1]


def test_context_of_the_second_computation():
    entered = []

    @contextmanager
    def context():
        entered.append(True)
        yield

    model = Stack()
    checkpoint_activations(model, context)
    total = model(torch.ones(3, 4)).sum()
    assert not entered
    total.backward()
    assert len(entered) == 2


def test_layers_with_batch_norm_are_left_alone():
    model = nn.ModuleList([nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), Layer()])
    assert checkpoint_activations(model) == 1
    assert "forward" not in vars(model[0])


def test_nothing_to_checkpoint():
    with pytest.raises(ValueError, match="Linear has no transformer layers whose act"):
        checkpoint_activations(nn.Linear(2, 2))


def test_all_stacks_of_mmet():
    assert checkpoint_activations(mmet_tiny()) == 4 + 2 + 1
