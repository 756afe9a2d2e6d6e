# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""How long a training waits for its data: the recipe as it is, with a watch on its loader."""

import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Sequence
from unittest.mock import patch

from examples.common.loaders import training_loader
from examples.mmet import pretrain
from torchmultimodal_reid.data.collate import PersonBatch

CONFIG = Path(pretrain.__file__).parent / "configs" / "demo_pretrain.yaml"
SKIP = 2  # steps: workers start, and torch allocates


class WatchedLoader:
    """A loader that notes how long it is waited for, and how long its batches are worked on.

    Args:
        loader (Any): The loader: an iterable of batches with a ``summary()``.
        clock (Callable[[], float]): Seconds. Default: ``time.perf_counter``
    """

    def __init__(
        self, loader: Any, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.loader = loader
        self.clock = clock
        self.waited: List[float] = []  # seconds for each batch that was worked on
        self.worked: List[float] = []  # seconds with each of them

    def __iter__(self) -> Iterator[PersonBatch]:
        batches = iter(self.loader)
        while True:
            asked = self.clock()
            try:
                batch = next(batches)
            except StopIteration:
                return
            given = self.clock()
            yield batch
            self.waited.append(given - asked)
            self.worked.append(self.clock() - given)

    def summary(self) -> Optional[str]:
        """What the loader has to say at the end of a run."""
        return self.loader.summary()

    @property
    def share(self) -> float:
        """Of a step's time, what it waits; the first steps are left out, and the last, which saves a checkpoint."""
        waited, worked = (sum(part[SKIP:-1]) for part in (self.waited, self.worked))
        return waited / (waited + worked)

    @property
    def seconds(self) -> float:
        """Of a step, on average over the same steps."""
        parts = [*self.waited[SKIP:-1], *self.worked[SKIP:-1]]
        return sum(parts) / (len(parts) / 2)


def watch_pretraining(
    root: Path, output: Path, steps: int, overrides: Sequence[str] = ()
) -> WatchedLoader:
    """Pretrains MMET as the demo does, for some steps.

    Args:
        root (Path): A data set with captions in Market-1501's layout.
        output (Path): The run's folder, which must not be there.
        steps (int): How many, more than are left out.
        overrides (Sequence[str]): Other values of the configuration, ``key=value``. Default: none
    """
    watched: List[WatchedLoader] = []

    def make(*arguments: Any, **named: Any) -> WatchedLoader:
        watched.append(WatchedLoader(training_loader(*arguments, **named)))
        return watched[0]

    arguments = ["--config", str(CONFIG), f"data.root={root}", f"output={output}"]
    arguments += [f"loop.steps={steps}", "schedule.warmup_steps=0"]
    arguments += ["loop.evaluate_every=0", "loop.checkpoint_every=0", *overrides]
    # its loader alone is another; what it prints is no result
    with patch.object(pretrain, "training_loader", make), redirect_stdout(sys.stderr):
        pretrain.main(arguments)
    return watched[0]
