# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The checkpoints of a run: what is in them, and which one to go on from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import torch
from examples.common.selection import selection_stamp, VALIDATION_SPLIT
from examples.common.sharding import gather_tensors, is_sharded, share_like
from torch import nn
from torchmultimodal_reid.utils.checkpoint import Checkpoint, write_checkpoint
from torchmultimodal_reid.utils.optimizer_state import (
    load_optimizer_state,
    optimizer_state,
)
from torchmultimodal_reid.utils.state_dict import load_state_dict
from torchmultimodal_reid.utils.step_checkpoints import (
    latest_checkpoint,
    prune_checkpoints,
    step_name,
)

CHECKPOINTS = "checkpoints"
BEST = "best"
SHARDS = "shards"  # among the metadata: the fingerprint of what samples are drawn from, where it is shards


@dataclass
class Saved:
    """What goes into every checkpoint beside the weights."""

    metadata: Mapping[str, Any]
    files: Mapping[str, bytes]
    watched: Optional[str] = (
        VALIDATION_SPLIT  # what evaluate() of the training looks at
    )


class RunCheckpoints:
    """Writes a run's checkpoints, and brings model and optimizer back to one of them.

    Args:
        directory (Path): The run's directory.
        model (nn.Module): Whose weights they hold.
        saved (Saved): What else they hold.
        keep (int): How many stay, beside the best.
        writes (bool): Whether this is the process that writes; the others hand it their parts of a model that is
            shared out, so that all have to call what saves. Default: True
    """

    def __init__(
        self,
        directory: Path,
        model: nn.Module,
        saved: Saved,
        keep: int,
        writes: bool = True,
    ) -> None:
        self.directory = directory
        self.model = model
        self.saved = saved
        self.keep = keep
        self.writes = writes

    def save(
        self,
        step: int,
        optimizer: torch.optim.Optimizer,
        best: Optional[Mapping[str, float]],
        **more: Any,
    ) -> None:
        """Writes the checkpoint after ``step`` finished steps, and deletes those that are too many by it."""
        state = optimizer_state(optimizer, list(self.model.named_parameters()))
        tensors = {
            "model": gather_tensors(self.model.state_dict()),
            "optimizer": gather_tensors(state.tensors),
        }
        if not self.writes:
            return
        folder = self.directory / CHECKPOINTS
        folder.mkdir(exist_ok=True)
        write_checkpoint(
            folder / step_name(step),
            tensors,
            {
                **self.saved.metadata,
                "step": step,
                "best": best,
                "optimizer": state.metadata,
                "selection": self._selection(step, best, is_best=False),
                **more,
            },
            self.saved.files,
        )
        prune_checkpoints(folder, self.keep)

    def save_best(self, step: int, best: Mapping[str, float]) -> None:
        """Writes the weights alone to where the best ones lie."""
        tensors = {"model": gather_tensors(self.model.state_dict())}
        if not self.writes:
            return
        write_checkpoint(
            self.directory / BEST,
            tensors,
            {
                **self.saved.metadata,
                "step": step,
                "best": best,
                "selection": self._selection(step, best, is_best=True),
            },
            self.saved.files,
        )

    def restore(self, checkpoint: Checkpoint, optimizer: torch.optim.Optimizer) -> None:
        """Brings weights and optimizer back to a checkpoint of this run, from :func:`find_checkpoint`.

        Raises:
            ValueError: If the run drew its samples from other shards, so that its steps would not be the same.
        """
        if checkpoint.metadata.get(SHARDS) != self.saved.metadata.get(SHARDS):
            raise ValueError(
                f"{checkpoint.path}: the run drew its samples from other shards, or from a folder; resume it with what "
                "it was begun with, data.shards or data.root, or begin a new one"
            )
        self._restore_weights(checkpoint)
        parameters = dict(self.model.named_parameters())
        load_optimizer_state(
            optimizer,
            parameters.items(),
            {
                key: share_like(tensor, parameters.get(key.partition("/")[2], tensor))
                for key, tensor in checkpoint.tensors["optimizer"].items()
            },
            checkpoint.metadata["optimizer"],
        )

    def _restore_weights(self, checkpoint: Checkpoint) -> None:
        weights = checkpoint.tensors["model"]
        if is_sharded(self.model):
            own = self.model.state_dict()
            self.model.load_state_dict(
                {name: share_like(weights[name], own[name]) for name in own}
            )
        else:
            load_state_dict(self.model, weights, source=str(checkpoint.path))

    def result(self, step: int) -> Path:
        """The checkpoint to go on with: the best on what was watched, or the last where nothing was evaluated."""
        best = self.directory / BEST
        return best if best.is_dir() else self.directory / CHECKPOINTS / step_name(step)

    def _selection(
        self, step: int, best: Optional[Mapping[str, float]], is_best: bool
    ) -> Dict[str, Any]:
        # what is never evaluated was not watched, whatever it is
        watched = self.saved.watched if best is not None else None
        return selection_stamp(watched, step, is_best)


def find_checkpoint(directory: Path, steps: int) -> Optional[Checkpoint]:
    """The newest whole checkpoint of the run in ``directory``; None if it was stopped before its first.

    Args:
        directory (Path): The run's directory.
        steps (int): How many steps the whole run has.

    Raises:
        CheckpointError: If there are checkpoints but each is broken.
        ValueError: If the run has gone beyond ``steps`` already.
    """
    checkpoint = latest_checkpoint(directory / CHECKPOINTS)
    if finished_steps(checkpoint) > steps:
        raise ValueError(
            f"the run in {directory} has {finished_steps(checkpoint)} finished steps, more than loop.steps {steps}"
        )
    return checkpoint


def finished_steps(checkpoint: Optional[Checkpoint]) -> int:
    """How many steps were finished when ``checkpoint`` was written; 0 for none."""
    return 0 if checkpoint is None else int(checkpoint.metadata["step"])
