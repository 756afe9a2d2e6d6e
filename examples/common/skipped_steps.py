# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Steps whose loss or gradient is not finite: counted, and the end of a run that has too many of them in a row."""

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from accelerate import Accelerator
from accelerate.utils import gather_object
from examples.common.training_step import StepResult
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.data.errors import listed
from torchmultimodal_reid.utils.atomic import write_file_atomically


class SkippedSteps:
    """Counts skipped steps. All processes count alike.

    Args:
        directory (Path): The run's directory, for the names of the images of the last steps.
        accelerator (Accelerator): The processes.
        limit (int): How many in a row end the run.
    """

    def __init__(self, directory: Path, accelerator: Accelerator, limit: int) -> None:
        self.directory = directory
        self.accelerator = accelerator
        self.limit = limit
        self.total = 0
        self.in_a_row = 0
        self._records: List[Dict[str, Any]] = []

    @property
    def state(self) -> Dict[str, int]:
        """What a checkpoint holds of the counts."""
        return {"total": self.total, "in_a_row": self.in_a_row}

    def restore(self, state: Optional[Mapping[str, int]]) -> None:
        """Goes on from the counts of a checkpoint; None for one that has none."""
        if state is not None:
            self.total, self.in_a_row = state["total"], state["in_a_row"]

    def note(self, step: int, batch: PersonBatch, result: StepResult) -> Optional[str]:
        """Counts a step.

        Args:
            step (int): Its number, the first being 1.
            batch (PersonBatch): What it was to learn from.
            result (StepResult): What became of it.

        Returns:
            Optional[str]: What to tell of a skipped step; None for another.

        Raises:
            ValueError: If it was the last that is allowed in a row.
        """
        if not result.is_skipped:
            self.in_a_row = 0
            self._records.clear()
            return None
        self.total += 1
        values = {name: float(value) for name, value in result.logged.items()}
        shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        if result.is_overflow:
            return f"step {step} was skipped: too high a scale for fp16, which was lowered ({shown})"
        self.in_a_row += 1
        images = list(batch.paths) or [str(index) for index in batch.index.tolist()]
        self._records.append(
            {
                "step": step,
                "values": {name: str(value) for name, value in values.items()},
                "images": images,
            }
        )
        if self.in_a_row >= self.limit:
            self._end(step, shown, images)
        return f"step {step} was skipped: its loss or gradient is not finite ({shown})"

    def _end(self, step: int, shown: str, images: List[str]) -> None:
        path = self.directory / f"not_finite_step_{step:08d}.json"
        # by process: each has seen other images
        records = gather_object([self._records])
        if self.accelerator.is_main_process:
            write_file_atomically(path, json.dumps(records, indent=2) + "\n")
        raise ValueError(
            f"the loss or its gradient was not finite in {self.in_a_row} steps in a row, up to step {step} ({shown}). "
            f"Their images are named in {path}: {listed(images, limit=2)}. Lower optimizer.lr or loop.gradient_clip, "
            f"and go on with --resume {self.directory}"
        )
