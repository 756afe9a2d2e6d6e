# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import math
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Type, Union

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torchmultimodal_reid.utils.atomic import write_file_atomically
from tqdm import tqdm

METRICS_FILE = "metrics.jsonl"
Metric = Union[int, float, Tensor]


class MetricsLogger:
    """A run's progress in three places: a bar on the console, TensorBoard, and one JSON object a line in a file.

    A step is counted when it is finished: the first one is logged as 1, and a run resumed from the checkpoint after
    step 1000 logs 1001 next. What an interrupted run had written past its last checkpoint is cut off, so that the file
    holds each step once.

    Args:
        directory (Union[str, Path]): The run's directory, which exists.
        num_steps (int): The number of steps of the whole run.
        resumed_step (int): How many steps are finished already. Default: ``0``
        every (int): How often, in steps, to write. In between nothing waits for the device. Default: ``10``
        is_main (bool): Whether this is the process that speaks; the others write nothing. Default: ``True``
        description (str): What stands before the bar. Default: ``""``
    """

    def __init__(
        self,
        directory: Union[str, Path],
        num_steps: int,
        *,
        resumed_step: int = 0,
        every: int = 10,
        is_main: bool = True,
        description: str = "",
    ) -> None:
        if every < 1:
            raise ValueError(f"every must be >= 1, got {every}")
        self.num_steps = num_steps
        self.every = every
        self.is_main = is_main
        self._images = 0
        self._clock = time.perf_counter()
        if not is_main:
            return
        path = Path(directory) / METRICS_FILE
        _cut_after(path, resumed_step)
        self._file = open(path, "a", encoding="utf-8")
        self._board = SummaryWriter(
            str(Path(directory) / "tensorboard"), purge_step=resumed_step + 1
        )
        on_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=num_steps,
            initial=resumed_step,
            desc=description or None,
            dynamic_ncols=on_terminal,
            mininterval=0.2 if on_terminal else 15.0,
        )

    def is_due(self, step: int) -> bool:
        """Whether the metrics of this step are written."""
        return step % self.every == 0 or step == self.num_steps

    def step(
        self,
        step: int,
        metrics: Mapping[str, Metric],
        *,
        num_images: int,
        learning_rate: float,
    ) -> None:
        """Counts a finished training step and, every so often, writes its metrics.

        Args:
            step (int): How many steps are finished, this one included.
            metrics (Mapping[str, Metric]): Losses and the like by name. Tensors are read only when they are written.
            num_images (int): How many images the step saw, over all processes.
            learning_rate (float): The learning rate of the step.
        """
        if not self.is_main:
            return
        self._images += num_images
        if self.is_due(step):
            values = _numbers(metrics)
            elapsed = max(time.perf_counter() - self._clock, 1e-9)
            rate = self._images / elapsed
            shown = {name: f"{value:.3g}" for name, value in values.items()}
            self._bar.set_postfix(
                {**shown, "lr": f"{learning_rate:.2g}", "images/s": f"{rate:.0f}"},
                refresh=False,
            )
            self._write(
                step,
                {**values, "learning_rate": learning_rate, "images_per_second": rate},
                "train",
            )
            self._restart_clock()
        self._bar.update(step - self._bar.n)

    def write(
        self, step: int, metrics: Mapping[str, Metric], group: str = "validation"
    ) -> None:
        """Writes metrics of another kind than a training step's; the time they took does not count as training.

        Args:
            step (int): After how many finished steps.
            metrics (Mapping[str, Metric]): Values by name.
            group (str): What stands before the names: ``validation/mAP``. Default: ``"validation"``
        """
        if self.is_main:
            self._write(step, _numbers(metrics), group)
            self._restart_clock()

    def message(self, text: str) -> None:
        """Prints a line above the bar."""
        if self.is_main:
            self._bar.write(text, file=sys.stderr)

    def close(self) -> None:
        if self.is_main:
            self._bar.close()
            self._file.close()
            self._board.close()

    def __enter__(self) -> "MetricsLogger":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def _write(self, step: int, values: Dict[str, float], group: str) -> None:
        for name, value in values.items():
            self._board.add_scalar(f"{group}/{name}", value, step)
        record: Dict[str, Any] = {"step": step}
        record.update(
            {f"{group}/{name}": _json_number(value) for name, value in values.items()}
        )
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def _restart_clock(self) -> None:
        self._images = 0
        self._clock = time.perf_counter()


def _numbers(metrics: Mapping[str, Metric]) -> Dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}


def _json_number(value: float) -> Union[float, str]:
    # JSON has no NaN and no infinity; float() reads these texts back
    return value if math.isfinite(value) else str(value)


def _cut_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    kept: List[str] = []
    for line in text.splitlines(keepends=True):
        try:
            record_step = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):
            continue  # the process died while it wrote this line
        if record_step <= step and line.endswith("\n"):
            kept.append(line)
    if "".join(kept) != text:
        write_file_atomically(path, "".join(kept))
