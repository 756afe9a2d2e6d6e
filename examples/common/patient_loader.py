# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""A loader that outlives images that cannot be read and worker processes that die."""

import multiprocessing.connection
import multiprocessing.process
import signal
import sys
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Sequence

from examples.common.fetching import Collated, CollateFetched, Fetch
from torch.utils.data import DataLoader, Dataset
from torchmultimodal_reid.data.collate import Collate, PersonBatch
from torchmultimodal_reid.data.errors import DataError, listed
from tqdm import tqdm

MAX_RESTARTS = 3  # a machine that ends workers more often than that lacks something


class PatientLoader:
    """Batches of a data set, whatever happens to some of its images or to the processes that read them.

    - An image that cannot be read is told of and replaced by another one, of its identity or its shard, until there are
      more than ``max_unreadable`` of them.
    - Where a worker process dies, new ones go on from the batch that is due: nothing is lost, nothing comes twice.
    - What is wrong with the data is raised in this process, with its own text; torch would raise a worker's traceback.

    Args:
        dataset (Dataset): Of samples; a ``KeyedDataset`` where any may be replaced.
        collate (Collate): Samples to a batch.
        batches (Callable[[int], Iterable[Sequence[Any]]]): The keys of each batch, from a number of batches on.
        workers (int): Processes that read; 0 to read in this one.
        prefetch (int): Batches that a worker has ready.
        max_unreadable (int): How many images may be replaced, each counted once. Default: 0, none
    """

    def __init__(
        self,
        dataset: Dataset,
        collate: Collate,
        batches: Callable[[int], Iterable[Sequence[Any]]],
        workers: int,
        prefetch: int,
        max_unreadable: int = 0,
    ) -> None:
        self.dataset = Fetch(dataset, replace=max_unreadable > 0)
        self.collate = CollateFetched(collate)
        self.batches = batches
        self.workers = workers
        self.prefetch = prefetch
        self.max_unreadable = max_unreadable
        self.restarts = 0
        self.unreadable: Dict[str, str] = {}  # what was wrong, by path

    def __len__(self) -> int:
        return len(self.batches(0))  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[PersonBatch]:
        finished = 0
        while True:
            try:
                for collated in self._load(finished):
                    finished += 1
                    yield self._look_at(collated)
                return
            except _WorkerDied as death:
                self._count_restart(str(death))

    def summary(self) -> Optional[str]:
        """What to tell at the end of a run; None where nothing happened."""
        told = []
        if self.unreadable:
            told.append(
                f"{len(self.unreadable)} images could not be read, and {self._replaced_by} took the place of each: "
                f"{listed(list(self.unreadable), limit=self.max_unreadable)}"
            )
        if self.restarts:
            told.append(f"processes that load images died {self.restarts} times")
        return "; ".join(told) or None

    def _load(self, finished: int) -> Iterator[Collated]:
        loader = DataLoader(
            self.dataset,
            batch_sampler=self.batches(finished),  # type: ignore[arg-type]
            collate_fn=self.collate,
            num_workers=self.workers,
            prefetch_factor=self.prefetch if self.workers else None,
            worker_init_fn=_leave_signals_to_main,
        )
        if self.workers == 0 or threading.current_thread() != threading.main_thread():
            yield from loader
            return
        iterator: Any = iter(loader)
        # not the children that live now: one may have died already
        started = iterator._workers
        with _DeathsNoticedInTime() as deaths:
            try:
                while True:
                    with deaths.raised_here():
                        collated = next(iterator, None)
                    if collated is None:
                        return
                    yield collated
            except (RuntimeError, OSError, EOFError) as error:
                _raise_if_died(started, error)
                raise
            finally:
                # at once: torch would raise a dead worker that it still knows of when any other process ends
                iterator._shutdown_workers()

    def _look_at(self, collated: Collated) -> PersonBatch:
        if isinstance(collated.batch, DataError):
            raise collated.batch
        for path, problem in collated.unreadable.items():
            if path in self.unreadable:
                continue
            self.unreadable[path] = problem
            if len(self.unreadable) > self.max_unreadable:
                raise DataError(
                    f"{len(self.unreadable)} images could not be read, more than data.max_unreadable "
                    f"{self.max_unreadable}: {listed(list(self.unreadable.values()), limit=3)}"
                )
            _tell(
                f"warning: {problem}. In its place comes {self._replaced_by} "
                f"({len(self.unreadable)} of at most {self.max_unreadable})"
            )
        return collated.batch

    @property
    def _replaced_by(self) -> str:
        return self.dataset.dataset.replaced_by  # type: ignore[attr-defined]

    def _count_restart(self, reason: str) -> None:
        if self.restarts == MAX_RESTARTS:
            raise DataError(
                f"{reason}, after {self.restarts} others. They may lack memory: use fewer by data.workers, now "
                f"{self.workers}, or none by data.workers=0"
            )
        self.restarts += 1
        _tell(f"warning: {reason}. New ones go on ({self.restarts}/{MAX_RESTARTS})")


class _WorkerDied(Exception):
    """A worker process ended that should not have."""


def _raise_if_died(
    workers: Sequence[multiprocessing.process.BaseProcess], error: Exception
) -> None:
    # what it was sending breaks off a moment before it is seen to be dead; an exception in a worker ends none
    if not str(error).startswith("Caught "):
        ended = multiprocessing.connection.wait(
            [one.sentinel for one in workers], timeout=2
        )
        for one in workers:
            if (
                one.sentinel in ended
            ):  # its files are closed, but it may not be dead yet
                one.join(timeout=2)
    codes = [one.exitcode for one in workers if one.exitcode]
    if codes:
        how = f"by signal {-codes[0]}" if codes[0] < 0 else f"with status {codes[0]}"
        raise _WorkerDied(f"a process that loads images ended {how}") from error


class _DeathsNoticedInTime:
    """Lets torch raise that a worker died where a batch is waited for; it would do so in the midst of any step."""

    def __enter__(self) -> "_DeathsNoticedInTime":
        self._is_waiting = False
        self._is_pending = False
        # it was set when the workers were started
        self._torchs: Any = signal.signal(signal.SIGCHLD, self._on_signal)
        return self

    def __exit__(self, *error: Any) -> None:
        signal.signal(signal.SIGCHLD, self._torchs)

    @contextmanager
    def raised_here(self) -> Iterator[None]:
        self._is_waiting = True
        try:
            if self._is_pending:
                self._on_signal(signal.SIGCHLD, None)
            yield
        finally:
            self._is_waiting = False

    def _on_signal(self, number: int, frame: Optional[FrameType]) -> None:
        self._is_pending = not self._is_waiting
        if self._is_waiting and callable(self._torchs):
            self._torchs(number, frame)


def _leave_signals_to_main(worker: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach every process of a run; a worker goes on, for the last step needs it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _tell(text: str) -> None:
    tqdm.write(text, file=sys.stderr)  # above the progress bar
