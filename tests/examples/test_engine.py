# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import math
import os
import signal

import pytest
import torch
from accelerate import Accelerator
from examples.common.engine import LoopConfig, Trainer
from examples.common.main import finish
from examples.common.run_checkpoints import find_checkpoint, finished_steps, Saved
from torch import nn
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.data.errors import DataError


def batch(value):
    rows = torch.zeros(1, dtype=torch.long)
    return PersonBatch(None, torch.tensor([[float(value)]]), None, rows, rows, rows)


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
    checkpoint = find_checkpoint(tmp_path, two.loop.steps)
    assert finished_steps(checkpoint) == 2 and finished_steps(None) == 0
    two.restore(checkpoint)
    two.fit([batch(4)] * 2, pull)
    assert two.model.weight.item() == 4 - 4 / 2**4


def test_no_checkpoint_and_too_many_steps(trainer, tmp_path):
    assert find_checkpoint(tmp_path, steps=4) is None
    trainer().fit([batch(4)] * 4, pull)
    with pytest.raises(
        ValueError, match="has 4 finished steps, more than loop.steps 3"
    ):
        find_checkpoint(tmp_path, steps=3)


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


class Two:
    """An accelerator with a second process that received a signal before its second step, or none."""

    num_processes = 2

    def __init__(self, other):
        self.received = iter([0, other, other])
        self._one = Accelerator(cpu=True)

    def __getattr__(self, name):
        return getattr(self._one, name)

    def gather(self, own):
        return torch.cat([own, torch.tensor([[0, 0, next(self.received)]])])


class TestSignalsOfSeveralProcesses:
    def test_to_another_one(self, trainer, tmp_path):
        one = trainer(checkpoint_every=0)
        one.accelerator = Two(signal.SIGTERM)
        one.fit([batch(4)] * 4, pull)
        assert one.step == 2 and one.stop_signal == signal.SIGTERM
        assert names(tmp_path / "checkpoints") == ["step_00000002"]

    @pytest.mark.parametrize("is_alone, steps", [(True, 1), (False, 2)])
    def test_after_they_agreed_is_for_the_next_step(self, is_alone, steps, trainer):
        def evaluate():
            os.kill(os.getpid(), signal.SIGTERM)
            return {"selection": 0.0}

        one = trainer(checkpoint_every=0, evaluate_every=1)
        if not is_alone:
            one.accelerator = Two(0)
        one.fit([batch(4)] * 4, pull, evaluate)
        assert one.step == steps and one.stop_signal == signal.SIGTERM


def test_bad_sample_says_how_to_go_on(trainer, tmp_path):
    def batches():
        yield batch(4)
        raise DataError("a.jpg: cut short")

    with pytest.raises(
        DataError,
        match=f"^a.jpg: cut short. Mend it, and go on with --resume {tmp_path}$",
    ):
        trainer().fit(batches(), pull)


class TestStepsThatAreSkipped:
    """Batches of NaN; a batch of 4 halves what is left of the way to 4."""

    def test_weights_stay_and_it_is_told(self, trainer, tmp_path, capsys):
        one = trainer()
        one.fit([batch(4), batch(math.nan), batch(4), batch(math.inf)], pull)
        assert one.model.weight.item() == 4 - 4 / 2**2
        assert one.step == 4 and one.skipped.state == {"total": 2, "in_a_row": 1}
        finish(one, "examples.x")
        err = capsys.readouterr().err
        assert "step 2 was skipped: its loss or gradient is not finite (loss nan" in err
        assert "warning: 2 of 4 steps were skipped" in err
        lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
        counts = [json.loads(line)["train/skipped_steps"] for line in lines]
        assert counts == [0, 1, 1, 2]

    def test_gradient_alone_is_not_finite(self, trainer):
        one = trainer(steps=2)
        # the square root of 0: a loss of 0, whose gradient is infinite
        root = lambda model, batch, step: {"distance": model.weight.sum().sqrt()}
        one.fit([batch(4)] * 2, root)
        assert one.model.weight.item() == 0 and one.skipped.total == 2

    def test_too_many_in_a_row_end_the_run(self, trainer, tmp_path):
        one = trainer(steps=9, max_skipped=2)
        bad = [batch(math.nan)._replace(paths=(f"{i}.jpg",)) for i in range(4)]
        expected = (
            r"not finite in 2 steps in a row, up to step 4 \(loss nan, distance nan.*"
            rf"{tmp_path}/not_finite_step_00000004.json: 3.jpg.*--resume {tmp_path}$"
        )
        with pytest.raises(ValueError, match=expected):
            one.fit([bad[0], batch(4), bad[2], bad[3]], pull)
        assert one.model.weight.item() == 2
        (process,) = json.loads(
            (tmp_path / "not_finite_step_00000004.json").read_text()
        )
        assert [(row["step"], row["images"]) for row in process] == [
            (3, ["2.jpg"]),
            (4, ["3.jpg"]),
        ]

    def test_count_outlives_a_stop(self, trainer, tmp_path):
        trainer(steps=2).fit([batch(math.nan)] * 2, pull)
        two = trainer(max_skipped=3)
        two.restore(find_checkpoint(tmp_path, 4))
        with pytest.raises(ValueError, match="in 3 steps in a row, up to step 3"):
            two.fit([batch(math.nan)] * 2, pull)


@pytest.mark.parametrize(
    "key", ["steps", "accumulate", "max_skipped", "log_every", "keep"]
)
def test_loop_needs_at_least_one(key):
    with pytest.raises(ValueError, match=rf"loop\.{key} must be >= 1, got 0"):
        LoopConfig(**{key: 0})
