# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The compared steps compute the same thing where they claim to."""

import pytest
import torch
from benchmarks.pretraining_batch import make_batch, Size
from benchmarks.pretraining_contenders import build, CHANGES, CONTENDERS

SIZE = Size(24, 1, 1, 1, 2, pixels=32, words=6, padded=10, batch=3)


def loss(name):
    batch = make_batch(SIZE, torch.device("cpu"))
    model, optimizer = build(name, SIZE)
    value = model(batch)
    value.backward()
    optimizer.step()
    return value.item()


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_step_learns_something(name):
    batch = make_batch(SIZE, torch.device("cpu"))
    model, optimizer = build(name, SIZE)
    first = model(batch)
    first.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    optimizer.step()
    assert model(batch).item() < first.item()


@pytest.mark.parametrize(
    "name, same",
    [
        ("replace, padded", "replace"),
        ("drop, torch's attention", "drop"),
        ("drop, torch's cross-entropy", "drop"),
    ],
)
def test_a_change_of_speed_alone(name, same):
    assert loss(name) == pytest.approx(loss(same), rel=1e-5)


def test_the_changes_lead_from_flava_to_drop():
    assert set(CHANGES) <= set(CONTENDERS)
    assert CHANGES[0] == "flava" and "drop" in CHANGES
