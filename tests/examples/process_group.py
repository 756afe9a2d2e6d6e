# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Runs job after job, each in as many of a few processes as it asks for, as torchrun would start it.

``test_several_processes.py`` starts this file with the globals in capitals, once for each process: a start costs more
than most jobs.
"""

import importlib
import json
import os
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path

import torch
from accelerate.state import AcceleratorState, GradientState, PartialState
from examples.common import session
from examples.common.distributed import leave_process_group, make_accelerator
from examples.common.engine import LoopConfig, Trainer
from examples.common.main import run_main
from examples.common.run_checkpoints import Saved
from examples.common.sharding import shard_model
from torch import nn
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.models import vtbr
from torchmultimodal_reid.models.mmet import mmet
from torchmultimodal_reid.models.saved import MMET_BUILDERS
from torchmultimodal_reid.models.saved_vtbr import VTBR_MODELS
from torchmultimodal_reid.modules.encoders.cnn_grid import CNNGrid
from torchmultimodal_reid.utils.step_checkpoints import step_checkpoints
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)  # noqa: F821
os.dup2(log, 1)
os.dup2(log, 2)


def small_cnn_grid(backbone, whole=vtbr.cnn_grid):
    """A ConvNeXt normalises each image by itself; torchvision's smallest is large, and drops layers at random."""
    if backbone != "convnext_tiny":
        return whole(backbone)
    stages = [CNBlockConfig(16, 32, 1), CNBlockConfig(32, None, 1)]
    return CNNGrid(ConvNeXt(stages, stochastic_depth_prob=0.0))


# what is tested depends on no size
SIZES = {"d_model": 48, "n_layer": 1, "n_head": 3, "dim_feedforward": 96}
MMET_BUILDERS["mmet_tiny"] = partial(
    mmet,
    image_stem="convolution",
    text_stem="convolution",
    projection_dim=48,
    **{
        f"{part}_{key}": size
        for part in ("image", "text", "mm")
        for key, size in SIZES.items()
    },
)
vtbr.cnn_grid = small_cnn_grid
builder, arguments = VTBR_MODELS["vtbr_r18"]
VTBR_MODELS["vtbr_r18"] = VTBR_MODELS["vtbr_r18"]._replace(
    arguments={**arguments, **SIZES}
)


def rows(*values):
    number = torch.zeros(len(values), dtype=torch.long)
    text = torch.tensor(values).unsqueeze(1)
    return PersonBatch(None, text, None, number, number, number)


def pull(model, batch, step):
    """Pulls the weight to the mean of all processes' numbers."""
    return {"distance": (model(torch.ones(1)) - batch.text).square().mean()}


def toy(output, batches):
    """Trains one weight; writes what this process ended with, and how many exchanges its steps took."""
    accelerator = make_accelerator()
    accelerator.gather = counted(accelerator.gather)
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    groups = [{"params": [model.weight], "base_lr": 0.25}]
    directory = Path(output)
    directory.mkdir(exist_ok=True)
    trainer = Trainer(
        directory,
        accelerator,
        model,
        torch.optim.SGD(groups, lr=0.25),
        lambda step: 1.0,
        LoopConfig(6, gradient_clip=0, log_every=100, checkpoint_every=0),
        seed=0,
        weights={"distance": 1.0},
        saved=Saved({"model": {}}, {}),
    )
    trainer.fit(batches(accelerator.process_index), pull)
    end = {
        "step": trainer.step,
        "weight": model.weight.item(),
        "skipped": trainer.skipped.total,
        "stop_signal": trainer.stop_signal,
        "exchanges": accelerator.gather.count,
    }
    path = directory / f"rank_{accelerator.process_index}.json"
    path.write_text(json.dumps(end))
    leave_process_group()


def counted(function):
    def call(*arguments):
        call.count += 1
        return function(*arguments)

    call.count = 0
    return call


def one_is_not_finite(rank):
    """In the third step, the numbers of the second process alone."""
    for step in range(6):
        yield rows(float("nan") if (step, rank) == (2, 1) else 4.0, 4.0)


def one_is_told_to_stop(rank):
    """Before the third step, the second process alone."""
    for step in range(6):
        if (step, rank) == (2, 1):
            os.kill(os.getpid(), signal.SIGTERM)
        yield rows(4.0, 4.0)


TOYS = {
    "one is not finite": one_is_not_finite,
    "one is told to stop": one_is_told_to_stop,
}


def cut(whole, output):
    """Copies a run without its last checkpoint; the first process does, and the others wait for it."""
    if os.environ.get("RANK", "0") == "0":
        copy = shutil.copytree(whole, f"{output} copy")
        step, path = step_checkpoints(Path(copy) / "checkpoints")[-1]
        assert step == 5
        shutil.rmtree(path)
        os.rename(copy, output)
    while not Path(output).is_dir():
        time.sleep(0.01)


def note_share(model, accelerator):
    """Shares a model out, and writes how many numbers of how many this process has then."""
    shard_model(model, accelerator)
    weights = list(model.parameters())
    counts = [
        sum(weight.to_local().numel() for weight in weights),
        sum(weight.numel() for weight in weights),
    ]
    (output,) = (one[7:] for one in sys.argv if one.startswith("output="))
    path = Path(f"{output} share {accelerator.process_index}.json")
    path.write_text(json.dumps(counts))


session.shard_model = note_share


def start(program, arguments):
    if program in TOYS:
        toy(arguments[0], TOYS[program])
        return
    if program == "cut":
        cut(*arguments)
        return
    recipe = importlib.import_module(program)
    for name in ("draw_reconstruction", "draw_captions", "save_figure"):
        setattr(recipe, name, lambda *given, **more: None)  # takes longer than the run
    sys.argv = [program, *arguments]
    run_main(recipe.main)


# the server that starts processes has the environment of whichever test asked for it first
os.environ["ACCELERATE_USE_CPU"] = "true"
for job in JOBS:  # noqa: F821
    if NUMBER not in job["processes"]:  # noqa: F821
        continue
    rank, size = job["processes"].index(NUMBER), len(job["processes"])  # noqa: F821
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
    for name in names:
        os.environ.pop(name, None)
    if size > 1:
        os.environ.update(dict(zip(names, map(str, (rank, rank, size, size)))))
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(job["port"]))
    start(job["program"], job["arguments"])
    # what accelerate knows of the processes is for as long as Python runs
    for state in (AcceleratorState, PartialState, GradientState):
        state._reset_state()
