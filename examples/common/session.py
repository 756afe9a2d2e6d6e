# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What every training recipe begins with: its configuration, the processes, the run's folder, the trainer."""

import sys
from functools import partial
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional, Sequence, Tuple, Type

from accelerate import Accelerator
from examples.common.checks import check_shares
from examples.common.config import ConfigT, load_config
from examples.common.distributed import make_accelerator
from examples.common.engine import LoopConfig, Trainer
from examples.common.main import finish
from examples.common.optim import (
    build_optimizer,
    build_schedule,
    OptimizerConfig,
    ScheduleConfig,
)
from examples.common.patient_loader import PatientLoader
from examples.common.run import check_run, prepare_run
from examples.common.run_checkpoints import find_checkpoint, Saved
from examples.common.sharding import shard_model
from torch import nn
from torchmultimodal_reid.modules.layers.attention_kernel import attention_kernel
from torchmultimodal_reid.utils.activation_checkpointing import checkpoint_activations
from torchmultimodal_reid.utils.checkpoint import Checkpoint


class Session(NamedTuple):
    """One start of a recipe, or its going on with a run that was stopped; from :func:`open_session`."""

    recipe: str  # as python -m takes it
    config: Any
    accelerator: Accelerator
    directory: Path
    is_resumed: bool

    @property
    def rank(self) -> int:
        """The number of this process."""
        return self.accelerator.process_index

    @property
    def world_size(self) -> int:
        """How many processes there are."""
        return self.accelerator.num_processes

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints."""
        return self.accelerator.is_main_process

    def find_checkpoint(self, loop: LoopConfig) -> Optional[Checkpoint]:
        """What a run that is resumed goes on from; None at its start."""
        if not self.is_resumed:
            return None
        return find_checkpoint(self.directory, loop.steps)

    def make_trainer(
        self,
        model: nn.Module,
        optimizer: OptimizerConfig,
        schedule: ScheduleConfig,
        loop: LoopConfig,
        weights: Mapping[str, float],
        saved: Saved,
        checkpoint: Optional[Checkpoint],
    ) -> Trainer:
        """The trainer of ``model``, where ``checkpoint`` left it; see :class:`Trainer`."""
        if loop.checkpoint_activations:
            checkpoint_activations(
                model, partial(attention_kernel, self.accelerator.device)
            )
        if loop.shard:
            shard_model(model, self.accelerator)
        trainer = Trainer(
            self.directory,
            self.accelerator,
            model,
            build_optimizer(model, optimizer),
            build_schedule(schedule, loop.steps),
            loop,
            self.config.seed,
            weights,
            saved,
        )
        if checkpoint is not None:
            trainer.restore(checkpoint)
        return trainer

    def prepare_run(self) -> None:
        """Makes the run's folder. Call it last, when all but the images themselves was looked at."""
        prepare_run(
            self.directory,
            self.config,
            seed=self.config.seed,
            resume=self.is_resumed,
            is_main=self.is_main,
        )

    def finish(self, trainer: Trainer, loader: PatientLoader) -> None:
        """Says what went wrong on the way, and where the result is, or how to go on."""
        summary = loader.summary()
        if summary is not None:
            print(f"warning: {summary}", file=sys.stderr)
        finish(trainer, self.recipe)


def open_session(
    definition: Type[ConfigT],
    argv: Optional[Sequence[str]],
    recipe: str,
    description: Optional[str],
) -> Tuple[ConfigT, Session]:
    """Reads the command line, meets the other processes, and checks the run's folder, all before any data is read.

    Args:
        definition (Type[ConfigT]): The dataclass of the configuration, with ``precision``, ``output``, ``seed``,
            ``loop`` and ``shared_out``.
        argv (Optional[Sequence[str]]): The arguments; None for those of the command line.
        recipe (str): Its name as ``python -m`` takes it.
        description (Optional[str]): What ``--help`` says.

    Raises:
        ValueError: If the configuration is wrong, a batch does not divide into the processes and the parts of
            ``loop.accumulate``, the folder is taken, or there is nothing to resume.
    """
    config, command = load_config(
        definition, argv, prog=f"python -m {recipe}", description=description
    )
    loop: LoopConfig = config.loop  # type: ignore[attr-defined]
    accelerator = make_accelerator(
        config.precision, loop.compile  # type: ignore[attr-defined]
    )
    key, count = config.shared_out  # type: ignore[attr-defined]
    parts = loop.accumulate
    check_shares(key, count, accelerator.num_processes, parts)
    is_resumed = command.resume is not None
    directory = check_run(
        command.resume or config.output,  # type: ignore[attr-defined]
        resume=is_resumed,
        is_main=accelerator.is_main_process,
    )
    return config, Session(recipe, config, accelerator, directory, is_resumed)
