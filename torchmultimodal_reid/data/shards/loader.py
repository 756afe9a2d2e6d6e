# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

from torch.utils.data import DataLoader, get_worker_info, IterableDataset
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.data.sample_maker import PersonSample
from torchmultimodal_reid.data.shards.dataset import ShardDataset

Position = Tuple[int, int]  # epoch, samples of the share that were seen in it


class ShardLoader:
    """Batches of a ``ShardDataset`` from worker processes, with a position that can be saved and resumed.

    Each batch comes with its worker's position, so the state tells exactly what was handed out, not what the workers
    have read ahead. A run that resumes gets the batches that it would have got without the break: each worker's in
    their order, the workers taking turns. Each worker's last batch of an epoch may be smaller.

    Args:
        dataset (ShardDataset): The data set.
        batch_size (int): Samples in a batch of this rank.
        collate (Callable[[Sequence[PersonSample]], PersonBatch]): Such as ``Collate(pad_id)``.
        num_workers (int): Worker processes; 0 reads in this one. Default: 0
        **options (Any): Further options of ``torch.utils.data.DataLoader``, such as ``pin_memory``.

    Raises:
        ValueError: If ``batch_size`` is less than 1, or an endless data set has fewer samples than workers.
    """

    def __init__(
        self,
        dataset: ShardDataset,
        batch_size: int,
        collate: Callable[[Sequence[PersonSample]], PersonBatch],
        num_workers: int = 0,
        **options: Any,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.dataset, self.batch_size, self.collate = dataset, batch_size, collate
        self.num_workers, self._options = num_workers, options
        self._shares = max(1, num_workers)
        smallest = min(dataset.share_size(k, self._shares) for k in range(self._shares))
        if dataset.endless and smallest < 1:
            raise ValueError(
                f"{len(dataset)} samples are too few for {self._shares} workers; use fewer"
            )
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Goes to the beginning of an epoch."""
        self._epoch, self._next = epoch, 0
        self._positions: List[Position] = [(epoch, 0)] * self._shares

    def __iter__(self) -> Iterator[PersonBatch]:
        loader = DataLoader(
            _WorkerBatches(self, self._positions, self._next),
            batch_size=None,
            num_workers=self.num_workers,
            collate_fn=_unchanged,
            **self._options,
        )
        for worker, position, batch in loader:
            self._positions[worker] = position
            self._next = (worker + 1) % self._shares
            yield batch
        self.set_epoch(self._epoch + 1)

    def state_dict(self) -> Dict[str, Any]:
        """What was handed out so far."""
        return {
            **self.dataset.state_dict(),
            "epoch": self._epoch,
            "batch_size": self.batch_size,
            "positions": [list(position) for position in self._positions],
            "next": self._next,
        }

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Goes on where ``state_dict`` was asked for.

        Raises:
            ValueError: If it is of other shards, another order, or other numbers of processes or workers.
        """
        self.dataset.check_state(state)
        workers = len(state["positions"])
        if workers != self._shares or state["batch_size"] != self.batch_size:
            raise ValueError(
                f"the position to resume was saved with {workers} workers and batches of {state['batch_size']}, not "
                f"{self._shares} and {self.batch_size}; resume with what it was saved with"
            )
        self._epoch, self._next = state["epoch"], state["next"]
        self._positions = [(epoch, seen) for epoch, seen in state["positions"]]


class _WorkerBatches(IterableDataset):
    """A worker's batches, each with the share that it took and its position after it."""

    def __init__(
        self, loader: ShardLoader, positions: Sequence[Position], first: int
    ) -> None:
        self.dataset, self.collate = loader.dataset, loader.collate
        self.batch_size, self.shares = loader.batch_size, max(1, loader.num_workers)
        self.positions, self.first = list(positions), first

    def __iter__(self) -> Iterator[Tuple[int, Position, PersonBatch]]:
        info = get_worker_info()
        # workers take turns from the first one on: who was to come next when the state was saved is the first
        share = ((info.id if info is not None else 0) + self.first) % self.shares
        epoch, seen = self.positions[share]
        samples: List[PersonSample] = []
        while True:
            for sample in self.dataset.stream(epoch, seen, share, self.shares):
                samples.append(sample)
                seen += 1
                if len(samples) == self.batch_size:
                    yield share, (epoch, seen), self.collate(samples)
                    samples = []
            if not self.dataset.endless:
                break
            epoch, seen = epoch + 1, 0
        if samples:
            yield share, (epoch, seen), self.collate(samples)


def _unchanged(batch: Any) -> Any:
    return batch
