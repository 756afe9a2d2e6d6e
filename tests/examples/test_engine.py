# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import signal

import pytest
import torch
from accelerate import Accelerator
from examples.common.engine import (
    find_checkpoint,
    finished_steps,
    LoopConfig,
    Saved,
    sum_losses,
    Trainer,
)
from examples.common.main import finish
from torch import nn
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.data.errors import DataError


def batch(value):
    rows = torch.zeros(1, dtype=torch.long)
    return PersonBatch(None, torch.tensor([[value]]), None, rows, rows, rows)


def pull(model, batch, step):
    """Pulls the weight to the batch's number."""
    return {"distance": (model.weight.sum() - batch.text.sum()).square()}


@pytest.fixture
def trainer(tmp_path):
    def build(steps=4, **loop):
        model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(model.weight)
        optimizer = torch.optim.SGD(
            [{"params": [model.weight], "base_lr": 0.25}], lr=0.25
        )
        return Trainer(
            tmp_path,
            Accelerator(cpu=True),
            model,
            optimizer,
            lambda step: 1.0,
            LoopConfig(steps, gradient_clip=0, log_every=1, **loop),
            seed=0,
            weights={"distance": 1.0},
            saved=Saved({"model": {"name": "toy"}}, {"notes.txt": b"x"}),
        )

    return build


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_steps_and_checkpoints(trainer, tmp_path):
    one = trainer(checkpoint_every=1, keep=2)
    one.fit([batch(4)] * 4, pull)
    # each step halves what is left of the way: a gradient of 2 (w - 4), at a rate of 1/4
    assert one.model.weight.item() == 4 - 4 / 2**4
    assert one.is_finished and one.step == 4
    assert names(tmp_path / "checkpoints") == ["step_00000003", "step_00000004"]
    assert one.result == tmp_path / "checkpoints" / "step_00000004"


def test_goes_on_from_a_checkpoint(trainer, tmp_path):
    trainer(steps=2).fit([batch(4)] * 2, pull)
    two = trainer()
    checkpoint = find_checkpoint(tmp_path, two.loop)
    assert finished_steps(checkpoint) == 2 and finished_steps(None) == 0
    two.restore(checkpoint)
    two.fit([batch(4)] * 2, pull)
    assert two.model.weight.item() == 4 - 4 / 2**4


def test_no_checkpoint_and_too_many_steps(trainer, tmp_path):
    assert find_checkpoint(tmp_path, LoopConfig(steps=4)) is None
    trainer().fit([batch(4)] * 4, pull)
    with pytest.raises(
        ValueError, match="has 4 finished steps, more than loop.steps 3"
    ):
        find_checkpoint(tmp_path, LoopConfig(steps=3))


def test_best_is_kept(trainer, tmp_path):
    scores = iter([0.5, 0.9, 0.7, 0.8])
    one = trainer(evaluate_every=1)
    one.fit([batch(4)] * 4, pull, lambda: {"selection": next(scores)})
    assert one.best == {"selection": 0.9, "step": 2}
    assert one.result == tmp_path / "best"


def sending(number, times=1):
    """Batches in the midst of whose second a signal comes."""
    for index in range(4):
        if index == 1:
            for _ in range(times):
                os.kill(os.getpid(), number)
        yield batch(4)


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signal(number, status, trainer, tmp_path, capsys):
    before = signal.getsignal(number)
    one = trainer(checkpoint_every=0)
    one.fit(sending(number), pull)
    assert one.step == 2 and not one.is_finished
    assert names(tmp_path / "checkpoints") == ["step_00000002"]
    assert signal.getsignal(number) == before
    with pytest.raises(SystemExit) as stop:
        finish(one, "examples.x")
    assert stop.value.code == status
    expected = f"stopped after step 2, which is saved; go on with: python -m examples.x --resume {tmp_path}\n"
    assert capsys.readouterr().err.endswith(expected)


def test_second_ctrl_c_does_not_wait(trainer, tmp_path):
    one = trainer(checkpoint_every=0)
    with pytest.raises(KeyboardInterrupt):
        one.fit(sending(signal.SIGINT, times=2), pull)
    assert one.step == 1 and not (tmp_path / "checkpoints").exists()


def test_signal_in_the_last_step_is_a_finished_run(trainer, capsys):
    one = trainer(steps=2)
    one.fit(sending(signal.SIGTERM), pull)
    finish(one, "examples.x")
    assert "done after 2 steps" in capsys.readouterr().out


def test_bad_sample_says_how_to_go_on(trainer, tmp_path):
    def batches():
        yield batch(4)
        raise DataError("a.jpg: cut short")

    with pytest.raises(
        DataError,
        match=f"^a.jpg: cut short. Mend it, and go on with --resume {tmp_path}$",
    ):
        trainer().fit(batches(), pull)


def test_loss_that_is_not_finite(trainer):
    with pytest.raises(ValueError, match=r"not finite at step 0 \(distance nan\)"):
        trainer().fit(
            [batch(4)],
            lambda model, batch, step: {"distance": model.weight.sum() * float("nan")},
        )


class TestSum:
    def test_weights(self):
        losses = {
            "a": torch.tensor(2.0),
            "b": torch.tensor(3.0),
            "c": torch.tensor(float("nan")),
        }
        assert sum_losses(losses, {"a": 0.5, "b": 2.0, "c": 0.0, "d": 1.0}) == 7.0

    def test_without_a_weight(self):
        with pytest.raises(
            ValueError, match="losses b have no weight, expected one of each: a"
        ):
            sum_losses({"b": torch.tensor(1.0)}, {"a": 1.0})

    def test_none_left(self):
        with pytest.raises(
            ValueError, match="every loss of this batch has weight 0: a"
        ):
            sum_losses({"a": torch.tensor(1.0)}, {"a": 0.0})


@pytest.mark.parametrize("key", ["steps", "log_every", "keep"])
def test_loop_needs_at_least_one(key):
    with pytest.raises(ValueError, match=rf"loop\.{key} must be >= 1, got 0"):
        LoopConfig(**{key: 0})
