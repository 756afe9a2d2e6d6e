# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json

import pytest
import torch
from torch import nn
from torchmultimodal_reid.utils.errors import CheckpointError
from torchmultimodal_reid.utils.optimizer_state import (
    load_optimizer_state,
    optimizer_state,
)

BUILDERS = {
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.1, betas=(0.8, 0.9)),
    "amsgrad": lambda groups: torch.optim.Adam(groups, lr=0.1, amsgrad=True),
    "momentum": lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9),
    "plain": lambda groups: torch.optim.SGD(groups, lr=0.01),
    "tensor lr": lambda groups: torch.optim.Adam(groups, lr=torch.tensor(0.1)),
}


def make_model():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    return model


def groups_of(model, first_decay=0.01):
    return [
        {"params": list(model[0].parameters()), "weight_decay": first_decay},
        {"params": list(model[1].parameters()), "weight_decay": 0.0, "base_lr": 0.5},
    ]


def train(model, optimizer, steps):
    for step in steps:
        optimizer.zero_grad()
        data = torch.linspace(-1, 1, 6).reshape(2, 3) * (step + 1)
        model(data).square().mean().backward()
        optimizer.step()


def through_json(state):
    return state.tensors, json.loads(json.dumps(state.metadata))


@pytest.mark.parametrize("kind", list(BUILDERS))
def test_going_on_equals_never_having_stopped(kind):
    straight = make_model()
    optimizer = BUILDERS[kind](groups_of(straight))
    train(straight, optimizer, range(6))

    stopped = make_model()
    optimizer = BUILDERS[kind](groups_of(stopped))
    train(stopped, optimizer, range(3))
    saved = through_json(optimizer_state(optimizer, stopped.named_parameters()))
    weights = {key: value.clone() for key, value in stopped.state_dict().items()}

    resumed = make_model()
    resumed.load_state_dict(weights)
    # other hyperparameters: the saved ones have to come back
    optimizer = BUILDERS[kind](groups_of(resumed, first_decay=0.5))
    load_optimizer_state(optimizer, resumed.named_parameters(), *saved)
    train(resumed, optimizer, range(3, 6))
    for key, value in straight.state_dict().items():
        assert value.isfinite().all()
        assert torch.equal(resumed.state_dict()[key], value), key


def test_names_and_groups():
    model = make_model()
    optimizer = BUILDERS["adamw"](groups_of(model))
    train(model, optimizer, range(1))
    tensors, metadata = optimizer_state(optimizer, model.named_parameters())
    assert sorted(tensors)[:2] == ["exp_avg/0.bias", "exp_avg/0.weight"]
    assert metadata["optimizer"] == "AdamW"
    assert [group["parameters"] for group in metadata["groups"]] == [
        ["0.weight", "0.bias"],
        ["1.weight", "1.bias"],
    ]
    assert metadata["groups"][1]["options"]["base_lr"] == 0.5


def test_loaded_state_shares_no_memory_with_the_source():
    model = make_model()
    optimizer = BUILDERS["adamw"](groups_of(model))
    train(model, optimizer, range(2))
    saved = optimizer_state(optimizer, model.named_parameters())
    before = {key: value.clone() for key, value in saved.tensors.items()}
    other = make_model()
    second = BUILDERS["adamw"](groups_of(other))
    load_optimizer_state(second, other.named_parameters(), *saved)
    train(other, second, range(2))
    assert all(torch.equal(saved.tensors[key], value) for key, value in before.items())


def test_untrained_parameters_have_no_state():
    model = make_model()
    optimizer = BUILDERS["adamw"](groups_of(model))
    model[0].requires_grad_(False)
    train(model, optimizer, range(1))
    saved = optimizer_state(optimizer, model.named_parameters())
    assert all("/1." in key for key in saved.tensors)
    load_optimizer_state(optimizer, model.named_parameters(), *saved)


class TestRefusals:
    @pytest.fixture
    def saved(self):
        model = make_model()
        optimizer = BUILDERS["adamw"](groups_of(model))
        train(model, optimizer, range(1))
        return optimizer_state(optimizer, model.named_parameters())

    def test_another_optimizer(self, saved):
        model = make_model()
        optimizer = BUILDERS["momentum"](groups_of(model))
        with pytest.raises(CheckpointError, match="of AdamW, but the optimizer is SGD"):
            load_optimizer_state(optimizer, model.named_parameters(), *saved)

    def test_another_model(self, saved):
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2, bias=False))
        optimizer = BUILDERS["adamw"](groups_of(model))
        expected = (
            r"4 parameters in 2 groups, this one 3 in 2: they differ in \['1.bias'\]"
        )
        with pytest.raises(CheckpointError, match=expected):
            load_optimizer_state(optimizer, model.named_parameters(), *saved)

    def test_other_groups(self, saved):
        model = make_model()
        optimizer = BUILDERS["adamw"]([{"params": list(model.parameters())}])
        with pytest.raises(
            CheckpointError, match="4 in 1: the same parameters are grouped otherwise"
        ):
            load_optimizer_state(optimizer, model.named_parameters(), *saved)

    def test_parameter_without_a_name(self):
        model = make_model()
        optimizer = BUILDERS["adamw"](groups_of(model))
        with pytest.raises(CheckpointError, match=r"shape \(4, 3\).*not in the model"):
            optimizer_state(optimizer, model[1].named_parameters())


def test_state_is_laid_out_as_its_parameter():
    """Else a step after a resumption may be rounded otherwise than one before."""
    model = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)
    groups = [{"params": list(model.parameters())}]
    optimizer = torch.optim.Adam(groups)
    model(torch.ones(1, 2, 4, 4)).sum().backward()
    optimizer.step()
    named = list(model.named_parameters())
    tensors, metadata = through_json(optimizer_state(optimizer, named))
    # as they come from a file
    tensors = {key: tensor.contiguous() for key, tensor in tensors.items()}
    resumed = torch.optim.Adam([{"params": list(model.parameters())}])
    load_optimizer_state(resumed, named, tensors, metadata)
    before, after = (o.state[model.weight]["exp_avg"] for o in (optimizer, resumed))
    assert torch.equal(before, after) and before.stride() == after.stride()
