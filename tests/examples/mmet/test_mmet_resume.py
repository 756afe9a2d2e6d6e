# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""A run that is stopped, in whatever way and at whatever moment, ends as one that never was."""

import json
import random
import shutil
import signal
import time

import pytest
from torchmultimodal_reid.utils.step_checkpoints import step_checkpoints

FILES = ("model.safetensors", "optimizer.safetensors", "tokenizer.json")


def assert_same_end(run, reference, tools):
    """Two runs ended with the same bytes, logged the same losses and chose the same model."""
    end, expected = (
        step_checkpoints(path / "checkpoints")[-1] for path in (run, reference)
    )
    assert end[0] == expected[0] == 6
    for name in FILES:
        assert (end[1] / name).read_bytes() == (expected[1] / name).read_bytes(), name
    assert (run / "best" / FILES[0]).read_bytes() == (
        reference / "best" / FILES[0]
    ).read_bytes()
    for key in ("train/loss", "train/gradient_norm", "validation/selection"):
        assert tools.metrics(run, key) == tools.metrics(reference, key)


def kill_and_resume(recipe, arguments, output, start, tools, seed, kills=3):
    """Kills a run a random while after some more steps, several times, and resumes it to its end by --resume alone."""
    rng = random.Random(seed)
    killed = 0
    for _ in range(kills):
        process = start(recipe, arguments)
        # 0 more steps: as soon as the folder is there
        target = max(tools.metrics(output), default=0) + rng.randint(0, 2)
        process.wait_until(
            lambda target=target: (output / "run.json").exists()
            and max(tools.metrics(output), default=0) >= target
        )
        time.sleep(rng.uniform(0, 0.1))
        process.send(signal.SIGKILL)
        status = process.join()
        assert status in (0, -signal.SIGKILL), process.text
        killed += status != 0
        arguments = ["--resume", str(output)]
    process = start(recipe, arguments)
    assert process.join() == 0, process.text
    assert killed > 0


@pytest.mark.slow
@pytest.mark.parametrize("workers, checkpoint_every", [(0, 1), (1, 2)])
def test_killed_pretraining(
    workers, checkpoint_every, start, world, pretrained, tmp_path, tools
):
    more = [f"data.workers={workers}", f"loop.checkpoint_every={checkpoint_every}"]
    arguments = tools.debug("pretrain", world, tmp_path / "run", *more)
    kill_and_resume("pretrain", arguments, tmp_path / "run", start, tools, seed=workers)
    assert_same_end(tmp_path / "run", pretrained, tools)
    assert (tmp_path / "run" / "reconstruction.png").exists()


@pytest.mark.slow
def test_killed_finetuning(start, world, pretrained, finetuned, tmp_path, tools):
    begun = shutil.copytree(pretrained / "best", tmp_path / "begun")
    more = [f"pretrained={begun}", "data.workers=1", "loop.checkpoint_every=1"]
    arguments = tools.debug("finetune", world, tmp_path / "run", *more)
    kill_and_resume("finetune", arguments, tmp_path / "run", start, tools, seed=2)
    assert_same_end(tmp_path / "run", finetuned, tools)


@pytest.mark.slow
@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signal_ends_the_step_and_saves_it(
    number, status, start, world, tmp_path, tools
):
    output = tmp_path / "run"
    more = [
        "loop.steps=5000",
        "loop.checkpoint_every=0",
        "loop.evaluate_every=0",
        "data.workers=1",
    ]
    process = start("pretrain", tools.debug("pretrain", world, output, *more))
    assert process.wait_until(lambda: len(tools.metrics(output)) >= 2), process.text
    process.send(number)
    assert process.join() == status, process.text
    step, checkpoint = step_checkpoints(output / "checkpoints")[-1]
    assert step == max(tools.metrics(output))
    command = f"python -m examples.mmet.pretrain --resume {output}"
    expected = f"stopped after step {step}, which is saved; go on with: {command}"
    assert process.text.splitlines()[-1] == expected
    assert "Traceback" not in process.text and "Error" not in process.text

    process = start("pretrain", ["--resume", str(output), f"loop.steps={step + 2}"])
    assert process.join() == 0, process.text
    assert list(tools.metrics(output)) == list(range(1, step + 3))


class TestResumeOfAFinishedRun:
    def test_changes_nothing(self, run, finetuned, tmp_path, tools):
        copy = shutil.copytree(finetuned, tmp_path / "run")
        outcome = run("finetune", ["--resume", str(copy)])
        assert outcome.status == 0, outcome.err
        assert f"done after 6 steps: {copy / 'best'}" in outcome.out
        assert_same_end(copy, finetuned, tools)
        sessions = json.loads((copy / "run.json").read_text())["sessions"]
        assert [session["resumed"] for session in sessions] == [False, True]

    def test_needs_neither_the_pretrained_model_nor_the_same_captions(
        self, run, own_world, pretrained, tmp_path, tools
    ):
        begun = shutil.copytree(pretrained / "best", tmp_path / "begun")
        more = [f"pretrained={begun}", "loop.steps=2", "schedule.warmup_steps=0"]
        assert (
            run(
                "finetune", tools.debug("finetune", own_world, tmp_path / "run", *more)
            ).status
            == 0
        )
        shutil.rmtree(begun)
        assert (
            run("finetune", ["--resume", str(tmp_path / "run"), "loop.steps=3"]).status
            == 0
        )

    def test_goes_on_if_it_shall_be_longer(self, run, pretrained, tmp_path, tools):
        copy = shutil.copytree(pretrained, tmp_path / "run")
        outcome = run("pretrain", ["--resume", str(copy), "loop.steps=7"])
        assert outcome.status == 0 and "loop.steps 6 -> 7" in outcome.err
        assert list(tools.metrics(copy)) == [1, 2, 3, 4, 5, 6, 7]

    def test_cannot_be_shorter(self, run, pretrained, tmp_path):
        copy = shutil.copytree(pretrained, tmp_path / "run")
        outcome = run("pretrain", ["--resume", str(copy), "loop.steps=5"])
        assert outcome.status == 2
        assert "has 6 finished steps, more than loop.steps 5" in outcome.err


def test_tokeniser_stays_when_captions_change(run, own_world, tmp_path, tools):
    arguments = tools.debug(
        "pretrain",
        own_world,
        tmp_path / "run",
        "loop.steps=2",
        "schedule.warmup_steps=0",
    )
    assert run("pretrain", arguments).status == 0
    first = (
        tmp_path / "run" / "checkpoints" / "step_00000002" / "tokenizer.json"
    ).read_bytes()
    records = json.loads((own_world / "captions.json").read_text())
    for record in records:
        record["captions"] = [
            caption.replace("wear", "xylophone") for caption in record["captions"]
        ]
    (own_world / "captions.json").write_text(json.dumps(records))
    assert (
        run("pretrain", ["--resume", str(tmp_path / "run"), "loop.steps=3"]).status == 0
    )
    assert (
        tmp_path / "run" / "checkpoints" / "step_00000003" / "tokenizer.json"
    ).read_bytes() == first


class TestBrokenCheckpoints:
    def cut(self, path):
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size // 2)

    def test_the_one_before_is_taken(self, run, pretrained, tmp_path, tools, caplog):
        copy = shutil.copytree(pretrained, tmp_path / "run")
        self.cut(copy / "checkpoints" / "step_00000006" / "optimizer.safetensors")
        outcome = run("pretrain", ["--resume", str(copy)])
        assert outcome.status == 0, outcome.err
        assert "step_00000006.broken" in caplog.text
        assert_same_end(copy, pretrained, tools)

    def test_none_is_left(self, run, pretrained, tmp_path):
        copy = shutil.copytree(pretrained, tmp_path / "run")
        for step in (4, 6):
            self.cut(copy / "checkpoints" / f"step_{step:08d}" / "model.safetensors")
        before = (copy / "run.json").read_bytes()
        outcome = run("pretrain", ["--resume", str(copy)])
        assert outcome.status == 2
        assert outcome.err.startswith("error: each of the 2 checkpoints in ")
        assert (copy / "run.json").read_bytes() == before


def test_killed_while_the_folder_was_made(run, world, tmp_path, tools):
    output = tmp_path / "run"
    arguments = tools.debug(
        "pretrain", world, output, "loop.steps=1", "schedule.warmup_steps=0"
    )
    output.mkdir()
    (output / ".config.yaml.writing").write_text("half")
    outcome = run("pretrain", arguments)
    assert outcome.status == 0, outcome.err

    # the configuration was written, run.json was not
    shutil.rmtree(output / "checkpoints")
    (output / "run.json").unlink()
    outcome = run("pretrain", ["--resume", str(output)])
    assert outcome.status == 0, outcome.err
    assert len(json.loads((output / "run.json").read_text())["sessions"]) == 1
