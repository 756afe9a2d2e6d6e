# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The training loop that the pretraining and the fine-tuning recipes share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, Mapping, Optional

import torch
from accelerate import Accelerator
from examples.common.checks import check_choice, check_range
from examples.common.distributed import COMPILERS, mean_over_processes
from examples.common.failures import explain_failures
from examples.common.logging import MetricsLogger
from examples.common.loss_shares import RowCounter
from examples.common.optim import Schedule, set_learning_rate
from examples.common.run_checkpoints import finished_steps, RunCheckpoints, Saved
from examples.common.sharding import is_sharded, whole_weights
from examples.common.signals import StopSignals
from examples.common.skipped_steps import SkippedSteps
from examples.common.training_step import LossFunction, TrainingStep
from torch import nn
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.utils.checkpoint import Checkpoint
from torchmultimodal_reid.utils.seeding import derive_seed

Evaluate = Callable[[], Dict[str, float]]


@dataclass
class LoopConfig:
    """How long to train and how often to look."""

    steps: int = 1000  # optimizer steps of the whole run
    # parts to cut a batch into, for less memory; contrasts, triplets and batch norms then see one at a time
    accumulate: int = 1
    gradient_clip: float = 1.0  # largest norm of the gradient; 0 for no limit
    # a step whose loss or gradient is not finite is skipped; so many in a row end the run
    max_skipped: int = 10
    log_every: int = 20  # steps between two lines of the log
    checkpoint_every: int = (
        500  # steps between two checkpoints; the last step always has one
    )
    evaluate_every: int = (
        500  # steps between two evaluations on the validation split; 0 for none
    )
    keep: int = 2  # how many checkpoints stay
    # keep only the inputs of transformer layers for the backward pass: a third more time for much less memory
    checkpoint_activations: bool = False
    # share weights, gradients and optimizer out over the processes (FSDP2), for models that do not fit otherwise
    shard: bool = False
    # torch.compile's backend, such as inductor; no for none. The first steps then take minutes
    compile: str = "no"

    def __post_init__(self) -> None:
        check_choice("loop.compile", self.compile, COMPILERS)
        for key in ("steps", "accumulate", "max_skipped", "log_every", "keep"):
            check_range(f"loop.{key}", getattr(self, key), 1)
        for key in ("gradient_clip", "checkpoint_every", "evaluate_every"):
            check_range(f"loop.{key}", getattr(self, key), 0)


class Trainer:
    """Steps, logs, evaluates and saves; all that is random in a step is a function of the seed and the step.

    A run that is killed at any moment and resumed goes on with the same weights as one that never was: the checkpoint
    holds weights and optimizer, and the rest (order of the samples, augmentation, masks, dropout, learning rate) is
    recomputed from the number of finished steps. So is it on another number of processes, but for dropout and
    stochastic depth, which each process draws for itself.

    Args:
        directory (Path): The run's directory.
        accelerator (Accelerator): Device, precision and processes.
        model (nn.Module): What to train. It is wrapped for several processes here.
        optimizer (torch.optim.Optimizer): Over the parameters of ``model``.
        schedule (Schedule): Finished steps to the factor of the learning rate.
        loop (LoopConfig): How long and how often.
        seed (int): The run's seed.
        weights (Mapping[str, float]): Weight of each loss by name; a loss of weight 0 is not added.
        saved (Saved): What travels in the checkpoints.
    """

    def __init__(
        self,
        directory: Path,
        accelerator: Accelerator,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        loop: LoopConfig,
        seed: int,
        weights: Mapping[str, float],
        saved: Saved,
    ) -> None:
        self.directory = directory
        self.accelerator = accelerator
        self.model = model
        self.optimizer = optimizer
        self.schedule = schedule
        self.loop = loop
        self.seed = seed
        self.weights = weights
        self.step = 0
        self.best: Optional[Dict[str, float]] = None
        self.stop_signal: Optional[int] = None
        self.checkpoints = RunCheckpoints(
            directory, model, saved, loop.keep, accelerator.is_main_process
        )
        self.skipped = SkippedSteps(directory, accelerator, loop.max_skipped)
        self._last_batch_size = 0

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes back to a checkpoint of this run, from ``find_checkpoint``."""
        self.checkpoints.restore(checkpoint, self.optimizer)
        self.step = finished_steps(checkpoint)
        self.best = checkpoint.metadata["best"]
        self.skipped.restore(checkpoint.metadata.get("skipped"))
        if self.accelerator.scaler is not None and checkpoint.metadata.get("scaler"):
            self.accelerator.scaler.load_state_dict(checkpoint.metadata["scaler"])

    def fit(
        self,
        batches: Iterable[PersonBatch],
        compute_losses: LossFunction,
        evaluate: Optional[Evaluate] = None,
        description: str = "",
        count_rows: Optional[RowCounter] = None,
    ) -> None:
        """Trains from the current step to the last, or to the one in which a signal to stop came; either is saved.

        Args:
            batches (Iterable[PersonBatch]): One batch for each remaining step.
            compute_losses (LossFunction): Model, batch on the device and step to losses by name.
            evaluate (Optional[Evaluate]): Gives metrics of the model, which is in evaluation mode, on the
                validation split, ``"selection"`` among them, the higher the better. Default: None.
            description (str): What stands before the progress bar. Default: "".
            count_rows (Optional[RowCounter]): Of the losses that are no means over samples. Default: None.

        Raises:
            DataError: If a sample cannot be read. The run can be resumed once it was mended.
            CheckpointError: If the disk is full.
            ValueError: If the loss or the gradient is not finite over and over, or memory runs out.
        """
        is_main = self.accelerator.is_main_process
        is_alone = self.accelerator.num_processes == 1
        signals = StopSignals(is_main)
        model = self.accelerator.prepare_model(
            # what is shared out needs no wrapper that adds up gradients
            self.model,
            evaluation_mode=is_sharded(self.model),
        )
        self.optimizer = self.accelerator.prepare_optimizer(self.optimizer)
        take_step = TrainingStep(
            self.accelerator,
            model,
            self.optimizer,
            self.weights,
            self.loop.gradient_clip,
            self.loop.accumulate,
            lambda: signals.received or 0,
            count_rows,
        )
        logger = MetricsLogger(
            self.directory,
            self.loop.steps,
            resumed_step=self.step,
            every=self.loop.log_every,
            is_main=is_main,
            description=description,
        )
        explained = explain_failures(self.directory, self._memory_advice)
        with signals, explained, logger:
            for batch in batches:
                stop = self._train_step(batch, take_step, compute_losses, logger)
                if evaluate is not None and self._is_due(self.loop.evaluate_every):
                    self._evaluate(evaluate, logger)
                # a signal may reach one process alone: they stop in the same step or would wait for each other, so
                # one that came after they had agreed is for the next step
                if is_alone:
                    stop = signals.received or 0
                if stop or self._is_due(self.loop.checkpoint_every):
                    self._save()
                if stop:
                    self.stop_signal = stop
                    break

    def _train_step(
        self,
        batch: PersonBatch,
        take_step: TrainingStep,
        compute_losses: LossFunction,
        logger: MetricsLogger,
    ) -> int:
        """Gives the signal to stop that some process had received by then; 0 for none."""
        self._last_batch_size = len(batch.index)
        rank = self.accelerator.process_index
        torch.manual_seed(derive_seed(self.seed, "step", self.step, rank))
        learning_rate = set_learning_rate(self.optimizer, self.schedule(self.step))
        batch = batch.to(self.accelerator.device)
        result = take_step(batch, compute_losses, self.step)
        self.step += 1
        told = self.skipped.note(self.step, batch, result)
        if told is not None:
            logger.message(told)
        logged = result.logged
        if logger.is_due(self.step):
            logged = mean_over_processes(logged, self.accelerator)
        logger.step(
            self.step,
            {**logged, "skipped_steps": self.skipped.total},
            num_images=len(batch.index) * self.accelerator.num_processes,
            learning_rate=learning_rate,
        )
        return result.stop_signal

    def _evaluate(self, evaluate: Evaluate, logger: MetricsLogger) -> None:
        self.model.eval()
        with whole_weights(self.model):
            metrics = evaluate()
        logger.write(self.step, metrics)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        watched = self.checkpoints.saved.watched
        logger.message(f"step {self.step}, {watched}: {shown}")
        if self.best is None or metrics["selection"] > self.best["selection"]:
            self.best = {**metrics, "step": self.step}
            self.checkpoints.save_best(self.step, self.best)

    def _save(self) -> None:
        scaler = self.accelerator.scaler
        self.checkpoints.save(
            self.step,
            self.optimizer,
            self.best,
            skipped=self.skipped.state,
            scaler=None if scaler is None else scaler.state_dict(),
        )
        self.accelerator.wait_for_everyone()

    def _is_due(self, every: int) -> bool:
        return self.step == self.loop.steps or (every > 0 and self.step % every == 0)

    def _memory_advice(self) -> str:
        precision = self.accelerator.mixed_precision
        size, parts = self._last_batch_size, self.loop.accumulate
        shown = f"{size} samples" if parts == 1 else f"{parts} parts of {size // parts}"
        lower = "" if precision == "bf16" else "precision=bf16, "
        layers = any(isinstance(part, nn.ModuleList) for part in self.model.modules())
        can_again = layers and not self.loop.checkpoint_activations
        again = "loop.checkpoint_activations=true, " if can_again else ""
        return (
            f"at step {self.step}: a process has {shown} a step, in precision {precision}. Take a smaller batch, "
            f"loop.accumulate={2 * parts} for the same one in smaller parts, {lower}{again}or smaller images by "
            "image.size"
        )

    @property
    def is_finished(self) -> bool:
        """Whether the last step was done, signal or not."""
        return self.step >= self.loop.steps

    @property
    def result(self) -> Path:
        """The checkpoint to go on with: the best on what was watched, or the last where nothing was evaluated."""
        return self.checkpoints.result(self.step)
