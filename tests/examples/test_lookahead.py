# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json

import pytest
import torch
from examples.common.lookahead import add_lookahead
from examples.common.optim import build_optimizer, OptimizerConfig
from torch import nn
from torchmultimodal_reid.utils.optimizer_state import (
    load_optimizer_state,
    optimizer_state,
)


def build(name="sgd", model=None):
    model = model or nn.Linear(3, 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    config = OptimizerConfig(name=name, lr=0.1, lookahead_every=3)
    return model, build_optimizer(model, config)


def train(model, optimizer, steps):
    for step in steps:
        data = torch.linspace(-1, 1, 6).reshape(2, 3) * (step + 1)
        model(data).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_slow_weights_move_a_part_of_the_way():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = add_lookahead(torch.optim.SGD([weight], lr=1.0), alpha=0.25, every=2)
    seen = []
    for _ in range(4):
        weight.grad = torch.tensor([-1.0])
        optimizer.step()
        seen.append(weight.item())
    # 0 -> 1 -> 2, back to a quarter of the way; .5 -> 1.5 -> 2.5, back to .5 + 2 / 4
    assert seen == [1.0, 0.5, 1.5, 1.0]


def test_with_alpha_1_it_changes_nothing():
    plain, steps = nn.Linear(3, 2), range(7)
    build("sgd", plain)
    ahead, _ = build()
    train(plain, torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9), steps)
    fast = torch.optim.SGD(ahead.parameters(), lr=0.1, momentum=0.9)
    train(ahead, add_lookahead(fast, alpha=1.0, every=2), steps)
    for one, other in zip(plain.parameters(), ahead.parameters()):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_going_on_equals_never_having_stopped(name, stop):
    straight, optimizer = build(name)
    train(straight, optimizer, range(8))

    stopped, optimizer = build(name)
    train(stopped, optimizer, range(stop))
    tensors, metadata = optimizer_state(optimizer, list(stopped.named_parameters()))
    resumed, optimizer = build(name)
    resumed.load_state_dict(stopped.state_dict())
    load_optimizer_state(
        optimizer,
        list(resumed.named_parameters()),
        tensors,
        json.loads(json.dumps(metadata)),
    )
    train(resumed, optimizer, range(stop, 8))
    for one, other in zip(straight.parameters(), resumed.parameters()):
        assert torch.equal(one, other)


def test_a_parameter_without_gradient_stays():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    kept = model[1].weight.detach().clone()
    optimizer = add_lookahead(torch.optim.SGD(model.parameters(), lr=0.1), every=1)
    model[0](torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert torch.equal(model[1].weight, kept)


def test_bad_options():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ValueError, match="alpha must be above 0 and at most 1, got 0"):
        add_lookahead(optimizer, alpha=0)
    with pytest.raises(ValueError, match="every must be >= 1, got 0"):
        add_lookahead(optimizer, every=0)
    with pytest.raises(ValueError, match="optimizer.lookahead_every must be >= 0"):
        OptimizerConfig(lookahead_every=-1)


def test_everything_under_a_prefix_can_decay():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    config = OptimizerConfig(weight_decay=0.5, decay_all=("0.",))
    groups = build_optimizer(model, config).param_groups
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed = {names[p] for g in groups if g["weight_decay"] for p in g["params"]}
    assert decayed == {"0.weight", "0.bias", "1.weight"}
    with pytest.raises(ValueError, match="decay_all: no trainable parameter begins"):
        build_optimizer(model, OptimizerConfig(decay_all=("visual.",)))
