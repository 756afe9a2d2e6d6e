# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Loaders whose errors and signals arrive as they would without worker processes."""

import signal
from typing import Any, Iterable, Iterator, List, Sequence, Union

from torch.utils.data import DataLoader, Dataset
from torchmultimodal_reid.data.collate import Collate, PersonBatch
from torchmultimodal_reid.data.dataset import PersonSample
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.data.samplers import (
    IdentitySampler,
    StepBatchSampler,
    StepSampler,
)


def identity_sampler(
    images: Sequence[PersonImage],
    identities_per_batch: int,
    images_per_identity: int,
    seed: int,
    rank: int,
    world_size: int,
) -> IdentitySampler:
    """PxK batches of a reader's images: one person under several cameras, where there are several."""
    return IdentitySampler(
        [image.identity for image in images],
        identities_per_batch,
        images_per_identity,
        seed,
        rank,
        world_size,
        cameras=[image.camera for image in images],
    )


def training_loader(
    dataset: Dataset,
    sampler: StepSampler,
    collate: Collate,
    *,
    start: int,
    stop: int,
    workers: int,
) -> Iterable[PersonBatch]:
    """One batch for each step from ``start`` to ``stop``; the worker count changes nothing but the speed."""
    return _Loader(
        dataset, collate, StepBatchSampler(sampler, start, stop), workers, prefetch=4
    )


def evaluation_loader(
    dataset: Dataset,
    collate: Collate,
    *,
    batch_size: int,
    workers: int,
    rank: int = 0,
    world_size: int = 1,
) -> Iterable[PersonBatch]:
    """Every row of this process's share, once and in order; nothing is dropped.

    Batches are dealt out whole: each is the very batch that one process would have, with the same padding, so that a
    feature has the same last digit however many processes there are.
    """
    rows = list(range(len(dataset)))  # type: ignore[arg-type]
    batches = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return _Loader(dataset, collate, batches[rank::world_size], workers, prefetch=2)


class _Loader:
    """A DataLoader that raises what is wrong with the data in this process, with its own text.

    torch re-raises the exception of a worker with the worker's traceback for its text. So an error travels as a value.
    """

    def __init__(
        self,
        dataset: Dataset,
        collate: Collate,
        batches: Iterable[Sequence[Any]],
        workers: int,
        prefetch: int,
    ) -> None:
        self._loader = DataLoader(
            _ErrorsAsValues(dataset),
            batch_sampler=batches,  # type: ignore[arg-type]
            collate_fn=_CollateUnlessError(collate),
            num_workers=workers,
            prefetch_factor=prefetch if workers else None,
            worker_init_fn=_leave_signals_to_main,
        )

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[PersonBatch]:
        for batch in self._loader:
            if isinstance(batch, DataError):
                raise batch
            yield batch


class _ErrorsAsValues(Dataset):
    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Any) -> Union[PersonSample, DataError]:
        try:
            return self.dataset[key]
        except DataError as error:
            return error


class _CollateUnlessError:
    def __init__(self, collate: Collate) -> None:
        self.collate = collate

    def __call__(
        self, samples: List[Union[PersonSample, DataError]]
    ) -> Union[PersonBatch, DataError]:
        for sample in samples:
            if isinstance(sample, DataError):
                return sample
        return self.collate(samples)  # type: ignore[arg-type]


def _leave_signals_to_main(worker: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach every process of a run; a worker goes on, for the last step needs it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
