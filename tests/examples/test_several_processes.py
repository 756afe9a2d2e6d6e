# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Recipes give the same losses and weights on 1, 2 and 4 processes (gloo), and in 1, 2 and 4 parts a step.

All that is run is run once, by four processes that start once: ``process_group.py``.
"""

import json
import multiprocessing
import runpy
import shutil
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from examples.common.sharding import IS_AVAILABLE
from torchmultimodal_reid.data.synthetic.__main__ import main as render
from torchmultimodal_reid.utils.checkpoint import read_checkpoint

CONFIGS = Path(__file__).parents[2] / "examples"
SCRIPT = Path(__file__).with_name("process_group.py")
# those that other tests preload too: there is one server for all
PRELOADED = [f"examples.mmet.{name}" for name in ("pretrain", "finetune", "evaluate")]
STEPS = 5
PATIENCE = 600.0  # seconds
PROCESSES = {1: [[0], [1], [2], [3]], 2: [[0, 1], [2, 3]], 4: [[0, 1, 2, 3]]}

# what a process draws for itself is switched off: dropout, stochastic depth, wrong captions for image-text matching;
# with plain gradient descent, since AdamW makes a step of full length of a gradient that is 0 but for rounding
COMMON = [
    f"loop.steps={STEPS}",
    f"loop.checkpoint_every={STEPS - 1}",
    "loop.evaluate_every=0",
    "schedule.warmup_steps=0",
    "data.validation_share=0",
    "optimizer.name=sgd",
    "optimizer.momentum=0",
    "optimizer.weight_decay=0",
]
MMET = ["model.drop_path=null", "optimizer.lr=0.05"]
VTBR = ["model.dropout=0", "optimizer.lr=0.05", "optimizer.lookahead_every=0"]
MASKED = ["losses.itm=0", "losses.gc=0"]
RECIPES = {
    # images, captions, pairs; a contrast in which some rows have no positive
    "mmet pretrain": ["mmet.pretrain", *MMET, "losses.itm=0", "losses.gc_image=0.5"],
    "mmet finetune": ["mmet.finetune", *MMET, "losses.contrast_cross=0.5"],
    "vtbr pretrain": ["vtbr.pretrain", *VTBR, "model.backbone=mobilenet_v3_small"],
    "vtbr finetune": ["vtbr.finetune", "optimizer.lr=0.05"],
    # without what compares samples with each other: contrasts, batch norms
    "mmet masked": ["mmet.pretrain", *MMET, *MASKED],
    "vtbr captions": [
        "vtbr.pretrain",
        *VTBR,
        "model.backbone=convnext_tiny",
        "optimizer.lr=0.2",
    ],
}
WORLDS = [
    (recipe, world, 1)
    for recipe in ("mmet pretrain", "mmet finetune", "vtbr pretrain", "vtbr finetune")
    for world in (1, 2, 4)
]
PARTS = [
    (recipe, world, parts)
    for recipe in ("mmet masked", "vtbr captions")
    for world, parts in ((1, 1), (1, 2), (1, 4), (2, 2))
]
SHARDED = [
    (recipe, world)
    for recipe in ("mmet pretrain", "mmet finetune", "vtbr pretrain", "vtbr finetune")
    for world in (2, 4)
    if IS_AVAILABLE
]
needs_sharding = pytest.mark.skipif(not IS_AVAILABLE, reason="needs torch 2.6")
# an optimizer with a state, and looks at the validation split
WATCHED = ["optimizer.name=adamw", "data.validation_share=0.3", "loop.evaluate_every=2"]
TOYS = ["one is not finite", "one is told to stop"]


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def make_jobs(data, folder):
    """What to run in which of four processes: the largest groups first, then those that can run at the same time."""
    jobs = [
        {"program": toy, "arguments": [str(folder / toy)], "processes": [0, 1, 2, 3]}
        for toy in TOYS
    ]
    runs = [
        (recipe, world, f"{recipe} {world} {parts}", [f"loop.accumulate={parts}"])
        for recipe, world, parts in WORLDS + PARTS
    ]
    runs += [
        (recipe, world, f"{recipe} {world} sharded", ["loop.shard=true"])
        for recipe, world in SHARDED
    ]
    turns = {world: 0 for world in PROCESSES}
    for recipe, world, name, more in sorted(runs, key=lambda run: -run[1]):
        groups = PROCESSES[world]
        processes = groups[turns[world] % len(groups)]
        jobs.append(recipe_job(recipe, data, folder / name, processes, *more))
        turns[world] += 1
    if IS_AVAILABLE:
        jobs += resumed_jobs(data, folder)
    return [{**job, "port": port} for job, port in zip(jobs, free_ports(len(jobs)))]


def recipe_job(recipe, data, output, processes, *more):
    name, *own = RECIPES[recipe]
    family, kind = name.split(".")
    config = CONFIGS / family / "configs" / f"debug_{kind}.yaml"
    places = [f"data.root={data}", f"output={output}"]
    return {
        "program": f"examples.{name}",
        "arguments": ["--config", str(config), *places, *COMMON, *own, *more],
        "processes": processes,
    }


def resumed_jobs(data, folder):
    """A run that is shared out, and what goes on from its last checkpoint but one: shared out again, and not."""
    whole = folder / "whole"
    sharded = [*WATCHED, "loop.shard=true"]
    jobs = [
        recipe_job("mmet pretrain", data, whole, [0, 1], *sharded),
        recipe_job("mmet pretrain", data, folder / "not sharded", [2, 3], *WATCHED),
    ]
    for name, processes, shard in (
        ("sharded again", [0, 1], "true"),
        ("sharded no more", [0], "false"),
    ):
        output = folder / name
        cut = {"program": "cut", "arguments": [str(whole), str(output)]}
        job = recipe_job("mmet pretrain", data, output, processes, *WATCHED)
        more = [f"loop.shard={shard}", "--resume", str(output)]
        jobs += [
            {**cut, "processes": processes},
            {**job, "arguments": [*job["arguments"], *more]},
        ]
    return jobs


def run_all(jobs, folder):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    processes = []
    for number in range(4):
        log = folder / f"process_{number}.log"
        request = {"JOBS": jobs, "NUMBER": number, "LOG": str(log)}
        target = (str(SCRIPT), request)
        processes.append(context.Process(target=runpy.run_path, args=target))
    try:
        for process in processes:
            process.start()
        deadline = time.monotonic() + PATIENCE
        while any(process.exitcode is None for process in processes):
            # one that failed would be waited for by the others
            assert not any(process.exitcode for process in processes), texts(folder)
            assert time.monotonic() < deadline, texts(folder)
            time.sleep(0.01)
        assert not any(process.exitcode for process in processes), texts(folder)
    finally:
        for process in processes:
            process.kill()
            process.join()


def texts(folder):
    return "\n".join(path.read_text() for path in sorted(folder.glob("*.log")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Everything that was run. Do not change it."""
    folder = tmp_path_factory.mktemp("several")
    size = "--identities 12 --test-identities 2 --cameras 2 --images-per-camera 2 --image-size 32 32"
    data = folder / "data"
    assert render(["--out", str(data), *size.split(), "--workers", "1", "--quiet"]) == 0
    run_all(make_jobs(data, folder), folder)
    yield folder
    shutil.rmtree(folder)


def losses_of(run):
    """What was logged of each step but its speed: the loss, its terms, the gradient's norm."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    return [
        {name: value for name, value in line.items() if "per_second" not in name}
        for line in lines
    ]


def is_evaluation(line):
    return "validation/selection" in line


def checkpoint_of(run, step=STEPS):
    return run / "checkpoints" / f"step_{step:08d}"


def tensors_of(run, group, step=STEPS):
    return read_checkpoint(checkpoint_of(run, step), groups=[group]).tensors[group]


def weights_of(run, step=STEPS):
    return tensors_of(run, "model", step)


def difference(one, other):
    return (one.double() - other.double()).abs().max().item()


def assert_same(run, reference):
    losses, expected = losses_of(run), losses_of(reference)
    assert [line["step"] for line in expected] == list(range(1, STEPS + 1))
    for line, other in zip(losses, expected):
        assert line == pytest.approx(other, rel=1e-5, abs=1e-5)
    weights, expected = weights_of(run), weights_of(reference)
    assert weights.keys() == expected.keys()
    for name, weight in weights.items():
        assert difference(weight, expected[name]) <= 1e-4, name


@pytest.mark.parametrize("recipe, world", [run[:2] for run in WORLDS if run[1] > 1])
def test_processes_change_nothing(recipe, world, folder):
    assert_same(folder / f"{recipe} {world} 1", folder / f"{recipe} 1 1")


@pytest.mark.parametrize("recipe, world, parts", [run for run in PARTS if run[2] > 1])
def test_parts_change_nothing(recipe, world, parts, folder):
    assert_same(folder / f"{recipe} {world} {parts}", folder / f"{recipe} 1 1")


@pytest.mark.parametrize("recipe, world", SHARDED)
def test_sharing_out_changes_nothing(recipe, world, folder):
    assert_same(folder / f"{recipe} {world} sharded", folder / f"{recipe} 1 1")


@pytest.mark.parametrize("recipe, world", SHARDED)
def test_each_process_has_a_part(recipe, world, folder):
    paths = sorted(folder.glob(f"{recipe} {world} sharded share *"))
    own, whole = zip(*(json.loads(path.read_text()) for path in paths))
    assert len(own) == world and set(whole) == {sum(own)}
    # a weight's rows need not divide
    assert max(own) < 1.1 * sum(own) / world


@needs_sharding
def test_what_is_shared_out_is_evaluated(folder):
    lines, expected = (
        {line["step"]: line for line in losses_of(folder / name) if is_evaluation(line)}
        for name in ("whole", "not sharded")
    )
    assert list(expected) == [2, 4, 5]
    assert lines == expected


@needs_sharding
def test_what_was_shared_out_is_resumed(folder):
    assert losses_of(folder / "sharded again")[-2:] == losses_of(folder / "whole")[-2:]
    for part in ("model.safetensors", "optimizer.safetensors"):
        again, whole = (
            (checkpoint_of(folder / name) / part).read_bytes()
            for name in ("sharded again", "whole")
        )
        assert again == whole


@needs_sharding
def test_what_was_shared_out_is_resumed_as_a_whole(folder):
    line, expected = (
        losses_of(folder / name)[-2] for name in ("sharded no more", "whole")
    )
    assert line["step"] == STEPS and line == pytest.approx(expected, rel=1e-5)
    # the moments are no longer those of a single step
    moments, expected = (
        tensors_of(folder / name, "optimizer") for name in ("sharded no more", "whole")
    )
    assert moments.keys() == expected.keys()
    for name, moment in moments.items():
        assert difference(moment, expected[name]) <= 1e-4, name


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_step_is_long_beside_what_is_tolerated(recipe, folder):
    run = folder / f"{recipe} 1 1"
    before, after = weights_of(run, STEPS - 1), weights_of(run)
    assert max(difference(after[name], before[name]) for name in after) > 1e-3


def ends(folder, toy):
    return [json.loads(path.read_text()) for path in (folder / toy).glob("rank_*")]


def test_what_is_not_finite_for_one_is_skipped_by_all(folder):
    # each of the five other steps halves what is left of the way to 4
    expected = {"step": 6, "weight": 4 - 4 / 2**5, "skipped": 1, "stop_signal": None}
    assert ends(folder, "one is not finite") == [{**expected, "exchanges": 6}] * 4


def test_one_that_is_told_to_stop_stops_all(folder):
    expected = {"step": 3, "weight": 4 - 4 / 2**3, "skipped": 0, "stop_signal": 15}
    assert ends(folder, "one is told to stop") == [{**expected, "exchanges": 3}] * 4
    (saved,) = (folder / "one is told to stop" / "checkpoints").iterdir()
    assert saved.name == "step_00000003"
