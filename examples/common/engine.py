# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The training loop that the pretraining and the fine-tuning recipes share."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

import torch
from accelerate import Accelerator
from examples.common.checks import check_range
from examples.common.distributed import highest_over_processes, mean_over_processes
from examples.common.logging import MetricsLogger
from examples.common.optim import Schedule, set_learning_rate
from examples.common.selection import selection_stamp, VALIDATION_SPLIT
from torch import nn, Tensor
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.modules.layers.attention_kernel import attention_kernel
from torchmultimodal_reid.utils.checkpoint import Checkpoint, write_checkpoint
from torchmultimodal_reid.utils.optimizer_state import (
    load_optimizer_state,
    optimizer_state,
)
from torchmultimodal_reid.utils.seeding import derive_seed
from torchmultimodal_reid.utils.state_dict import load_state_dict
from torchmultimodal_reid.utils.step_checkpoints import (
    latest_checkpoint,
    prune_checkpoints,
    step_name,
)

CHECKPOINTS = "checkpoints"
BEST = "best"
Evaluate = Callable[[], Dict[str, float]]
LossFunction = Callable[[nn.Module, PersonBatch, int], Dict[str, Tensor]]


@dataclass
class LoopConfig:
    """How long to train and how often to look."""

    steps: int = 1000  # optimizer steps of the whole run
    gradient_clip: float = 1.0  # largest norm of the gradient; 0 for no limit
    log_every: int = 20  # steps between two lines of the log
    checkpoint_every: int = (
        500  # steps between two checkpoints; the last step always has one
    )
    evaluate_every: int = (
        500  # steps between two evaluations on the validation split; 0 for none
    )
    keep: int = 2  # how many checkpoints stay

    def __post_init__(self) -> None:
        for key in ("steps", "log_every", "keep"):
            check_range(f"loop.{key}", getattr(self, key), 1)
        for key in ("gradient_clip", "checkpoint_every", "evaluate_every"):
            check_range(f"loop.{key}", getattr(self, key), 0)


@dataclass
class Saved:
    """What goes into every checkpoint beside the weights."""

    metadata: Mapping[str, Any]
    files: Mapping[str, bytes]
    watched: Optional[str] = (
        VALIDATION_SPLIT  # what evaluate() of the training looks at
    )


class Trainer:
    """Steps, logs, evaluates and saves; all that is random in a step is a function of the seed and the step.

    A run that is killed at any moment and resumed goes on with the same weights as one that never was: the checkpoint
    holds weights and optimizer, and the rest (order of the samples, augmentation, masks, dropout, learning rate) is
    recomputed from the number of finished steps.

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
        self.saved = saved
        self.step = 0
        self.best: Optional[Dict[str, float]] = None
        self.stop_signal: Optional[int] = None

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes back to a checkpoint of this run, from :func:`find_checkpoint`."""
        load_state_dict(
            self.model, checkpoint.tensors["model"], source=str(checkpoint.path)
        )
        load_optimizer_state(
            self.optimizer,
            list(self.model.named_parameters()),
            checkpoint.tensors["optimizer"],
            checkpoint.metadata["optimizer"],
        )
        self.step = finished_steps(checkpoint)
        self.best = checkpoint.metadata["best"]

    def fit(
        self,
        batches: Iterable[PersonBatch],
        compute_losses: LossFunction,
        evaluate: Optional[Evaluate] = None,
        description: str = "",
    ) -> None:
        """Trains from the current step to the last, or to the one in which ``stop_signal`` came; either is saved.

        Args:
            batches (Iterable[PersonBatch]): One batch for each remaining step.
            compute_losses (LossFunction): Model, batch on the device and step to losses by name.
            evaluate (Optional[Evaluate]): Gives metrics of the model, which is in evaluation mode, on the
                validation split, ``"selection"`` among them, the higher the better. Default: None.
            description (str): What stands before the progress bar. Default: "".

        Raises:
            DataError: If a sample cannot be read. The run can be resumed once it was mended.
        """
        model, self.optimizer = self.accelerator.prepare(self.model, self.optimizer)
        previous = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        logger = MetricsLogger(
            self.directory,
            self.loop.steps,
            resumed_step=self.step,
            every=self.loop.log_every,
            is_main=self.accelerator.is_main_process,
            description=description,
        )
        try:
            with logger:
                for batch in batches:
                    self._train_step(
                        model, batch.to(self.accelerator.device), compute_losses, logger
                    )
                    if evaluate is not None and self._is_due(self.loop.evaluate_every):
                        self._evaluate(evaluate, logger)
                    # a signal may reach one process alone: they stop in the same step or would wait for each other
                    stop = highest_over_processes(
                        self.stop_signal or 0, self.accelerator
                    )
                    if stop or self._is_due(self.loop.checkpoint_every):
                        self._save()
                    if stop:
                        self.stop_signal = stop
                        break
        except DataError as error:
            raise DataError(
                f"{error}. Mend it, and go on with --resume {self.directory}"
            ) from error
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _train_step(
        self,
        model: nn.Module,
        batch: PersonBatch,
        compute_losses: LossFunction,
        logger: MetricsLogger,
    ) -> None:
        rank = self.accelerator.process_index
        torch.manual_seed(derive_seed(self.seed, "step", self.step, rank))
        learning_rate = set_learning_rate(self.optimizer, self.schedule(self.step))
        model.train()
        with self.accelerator.autocast(), attention_kernel(self.accelerator.device):
            losses = compute_losses(model, batch, self.step)
        total = sum_losses(losses, self.weights)
        if not torch.isfinite(total):
            values = ", ".join(
                f"{name} {loss.item():.4g}" for name, loss in losses.items()
            )
            raise ValueError(
                f"the loss is not finite at step {self.step} ({values}); lower optimizer.lr or loop.gradient_clip, and "
                "resume"
            )
        self.accelerator.backward(total)
        logged = {"loss": total.detach()}
        logged.update({name: loss.detach() for name, loss in losses.items()})
        if self.loop.gradient_clip > 0:
            norm = self.accelerator.clip_grad_norm_(
                model.parameters(), self.loop.gradient_clip
            )
            logged["gradient_norm"] = torch.as_tensor(norm).detach()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        if logger.is_due(self.step):
            logged = mean_over_processes(logged, self.accelerator)
        logger.step(
            self.step,
            logged,
            num_images=len(batch.index) * self.accelerator.num_processes,
            learning_rate=learning_rate,
        )

    def _evaluate(self, evaluate: Evaluate, logger: MetricsLogger) -> None:
        self.model.eval()
        metrics = evaluate()
        logger.write(self.step, metrics)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        logger.message(f"step {self.step}, {self.saved.watched}: {shown}")
        if self.best is None or metrics["selection"] > self.best["selection"]:
            self.best = {**metrics, "step": self.step}
            if self.accelerator.is_main_process:
                write_checkpoint(
                    self.directory / BEST,
                    {"model": self.model.state_dict()},
                    {
                        **self.saved.metadata,
                        "step": self.step,
                        "best": self.best,
                        "selection": self._selection(is_best=True),
                    },
                    self.saved.files,
                )

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            state = optimizer_state(self.optimizer, list(self.model.named_parameters()))
            folder = self.directory / CHECKPOINTS
            folder.mkdir(exist_ok=True)
            write_checkpoint(
                folder / step_name(self.step),
                {"model": self.model.state_dict(), "optimizer": state.tensors},
                {
                    **self.saved.metadata,
                    "step": self.step,
                    "best": self.best,
                    "optimizer": state.metadata,
                    "selection": self._selection(is_best=False),
                },
                self.saved.files,
            )
            prune_checkpoints(folder, self.loop.keep)
        self.accelerator.wait_for_everyone()

    def _selection(self, is_best: bool) -> Dict[str, Any]:
        # what is never evaluated was not watched, whatever it is
        watched = self.saved.watched if self.best is not None else None
        return selection_stamp(watched, self.step, is_best)

    def _is_due(self, every: int) -> bool:
        return self.step == self.loop.steps or (every > 0 and self.step % every == 0)

    def _on_signal(self, number: int, frame: Optional[FrameType]) -> None:
        if number == self.stop_signal == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait for the step
        self.stop_signal = number
        if self.accelerator.is_main_process:
            # print() must not be called in the midst of another print()
            os.write(2, b"\nfinishing this step, to save it\n")

    @property
    def is_finished(self) -> bool:
        """Whether the last step was done, signal or not."""
        return self.step >= self.loop.steps

    @property
    def result(self) -> Path:
        """The checkpoint to go on with: the best on what was watched, or the last where nothing was evaluated."""
        best = self.directory / BEST
        return (
            best
            if best.is_dir()
            else self.directory / CHECKPOINTS / step_name(self.step)
        )


def find_checkpoint(directory: Path, loop: LoopConfig) -> Optional[Checkpoint]:
    """The newest whole checkpoint of the run in ``directory``; None if it was stopped before its first.

    Raises:
        CheckpointError: If there are checkpoints but each is broken.
        ValueError: If the run has gone beyond ``loop.steps`` already.
    """
    checkpoint = latest_checkpoint(directory / CHECKPOINTS)
    if finished_steps(checkpoint) > loop.steps:
        raise ValueError(
            f"the run in {directory} has {finished_steps(checkpoint)} finished steps, more than loop.steps {loop.steps}"
        )
    return checkpoint


def finished_steps(checkpoint: Optional[Checkpoint]) -> int:
    """How many steps were finished when ``checkpoint`` was written; 0 for none."""
    return 0 if checkpoint is None else int(checkpoint.metadata["step"])


def sum_losses(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of the losses whose weight is not 0.

    Raises:
        ValueError: If a loss has no weight, or none is left to train on.
    """
    unknown = sorted(set(losses) - set(weights))
    if unknown:
        raise ValueError(
            f"losses {', '.join(unknown)} have no weight, expected one of each: {', '.join(weights)}"
        )
    terms: List[Tensor] = [
        weights[name] * loss for name, loss in losses.items() if weights[name] != 0
    ]
    if not terms:
        raise ValueError(f"every loss of this batch has weight 0: {', '.join(losses)}")
    return torch.stack([term.float() for term in terms]).sum()
