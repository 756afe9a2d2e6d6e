# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import multiprocessing
import random
import runpy
import signal
from pathlib import Path

from torchmultimodal_reid.utils.step_checkpoints import step_checkpoints

KILLS = 20
STEPS = 30
# those that the recipes' tests preload too: there is one server for all
RECIPES = [f"examples.mmet.{name}" for name in ("pretrain", "finetune", "evaluate")]


def run(directory, last_moment=None):
    """Starts or resumes the run in a process of its own; gives its exit status."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(RECIPES)
    request = {
        "DIRECTORY": str(directory),
        "LOG": str(directory.with_suffix(".log")),
        "LAST_MOMENT": last_moment,
    }
    script = str(Path(__file__).with_name("short_run.py"))
    process = context.Process(target=runpy.run_path, args=(script, request))
    process.start()
    process.join()
    return process.exitcode


def end_of(directory):
    """The bytes of the last checkpoint and of the best, and what was logged at each step."""
    step, last = step_checkpoints(directory / "checkpoints")[-1]
    files = [*sorted(last.iterdir()), directory / "best" / "model.safetensors"]
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(line) for line in lines]
    for record in logged:
        record.pop("train/images_per_second", None)
    return step, [file.read_bytes() for file in files], logged


def test_killed_at_any_moment_a_run_ends_as_if_it_never_was(tmp_path):
    """Twenty times, between any two calls of any functions: while it starts, learns, logs, evaluates or saves."""
    reference, killed = tmp_path / "reference", tmp_path / "killed"
    assert run(reference) == 0, (tmp_path / "reference.log").read_text()
    beginning, end = map(int, (tmp_path / "reference.moments").read_text().split())
    rng = random.Random(0)
    reached, half_written, kills = set(), 0, 0
    # how many calls a run is made of differs between machines, and so where these kills fall
    while kills < KILLS or (half_written < 2 and kills < 3 * KILLS):
        kills += 1
        # as far as the start and two or three steps on the average
        moment = rng.randint(1, beginning + (end - beginning) * 5 // STEPS)
        status = run(killed, moment)
        assert status == -signal.SIGKILL, (tmp_path / "killed.log").read_text()
        folder = killed / "checkpoints"
        reached.add(max([step for step, _ in step_checkpoints(folder)], default=0))
        half_written += any(killed.glob("**/.*.writing"))
    assert len(reached) > 3, "the kills are not spread over the run"
    assert half_written >= 2, "too few kills came while something was written"
    assert run(killed) == 0, (tmp_path / "killed.log").read_text()
    assert end_of(killed) == end_of(reference)
    assert end_of(killed)[0] == STEPS
    # none was ever found broken, none was left half-written, no more are kept than asked for
    names = sorted(path.name for path in (killed / "checkpoints").iterdir())
    assert names == ["step_00000029", "step_00000030"]
