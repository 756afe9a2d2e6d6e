# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""A whole run of a very small model, started or resumed, which ends itself by SIGKILL at a given moment.

``test_killed.py`` starts this file with the globals in capitals.
"""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from examples.common.config import CONFIG_FILE
from examples.common.engine import LoopConfig, Trainer
from examples.common.loaders import training_loader
from examples.common.lookahead import add_lookahead
from examples.common.run import check_run, prepare_run, RUN_FILE
from examples.common.run_checkpoints import find_checkpoint, finished_steps, Saved
from torch import nn
from torch.utils.data import Dataset
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import PersonSample
from torchmultimodal_reid.data.samplers import ShuffleSampler

directory = Path(DIRECTORY)  # noqa: F821
last_moment = LAST_MOMENT  # noqa: F821  # None to live to the end
log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)  # noqa: F821
os.dup2(log, 1)
os.dup2(log, 2)

moments = 0


def count(frame, event, argument):
    """Each call and each return of a function, of Python's or of C's, is a moment."""
    global moments
    moments += 1
    if moments == last_moment:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Config:
    steps: int = 30


class Rows(Dataset):
    def __getitem__(self, key):
        image = torch.sin(torch.arange(3.0) * (key.index + 1) + key.draw)
        return PersonSample(image, None, key.index % 3, 0, key.index, key.draw)


def losses(model, batch, step):
    return {"identity": nn.functional.cross_entropy(model(batch.image), batch.identity)}


def main():
    config = Config()
    resume = any((directory / name).exists() for name in (RUN_FILE, CONFIG_FILE))
    check_run(directory, resume=resume)
    checkpoint = find_checkpoint(directory, config.steps) if resume else None
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)
    )
    groups = [{"params": list(model.parameters()), "base_lr": 0.01}]
    trainer = Trainer(
        directory,
        Accelerator(cpu=True),
        model,
        add_lookahead(torch.optim.AdamW(groups), every=3),
        lambda step: 1 - step / config.steps,
        LoopConfig(config.steps, log_every=1, checkpoint_every=1, evaluate_every=2),
        seed=0,
        weights={"identity": 1.0},
        saved=Saved({"model": {}}, {"notes.txt": b"short"}),
    )
    if checkpoint is not None:
        trainer.restore(checkpoint)
    loader = training_loader(
        Rows(),
        ShuffleSampler(10, 4, seed=0),
        Collate(0),
        start=finished_steps(checkpoint),
        stop=config.steps,
        workers=0,
    )
    prepare_run(directory, config, seed=0, resume=resume)
    at_first = moments
    trainer.fit(loader, losses, lambda: {"selection": model[0].weight.sum().item()})
    return at_first


sys.setprofile(count)
beginning = main()
sys.setprofile(None)
Path(LOG).with_suffix(".moments").write_text(f"{beginning} {moments}")  # noqa: F821
