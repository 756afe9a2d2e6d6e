# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from collections import Counter, defaultdict
from typing import (
    Callable,
    Counter as CounterType,
    DefaultDict,
    Dict,
    Iterator,
    List,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

import torch
from torch.utils.data import Sampler
from torchmultimodal_reid.data.dataset import SampleKey
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.utils.seeding import generator_for

# far above any step, so that draws of repeats never meet those of a later step
_REPEAT = 1 << 40


class StepSampler(Protocol):
    """A sampler that can be asked for any batch at any time: ``batch(step)`` is a function of the step alone.

    A run that resumes at a step sees what it would have seen without the break, and nothing has to be saved for it.
    """

    batches_per_epoch: int

    def batch(self, step: int) -> List[SampleKey]:
        """The samples of one step, for this rank."""
        ...


class IdentitySampler:
    """Batches of P identities with K images each, as batch-hard triplets need them.

    An epoch visits every identity once: a permutation of them in groups of P, the last one filled up from the epoch's
    beginning. Over its visits, an identity shows all its images before any comes again; the K of a visit are
    different images, from different cameras as far as there are any. An identity with fewer than K images repeats
    them, under different augmentation.

    Under several ranks, each takes P / N identities of the batch that one process would see.

    Args:
        identities (Sequence[int]): Identity of each image of the data set.
        p (int): Identities in a batch, over all ranks.
        k (int): Images of each.
        seed (int): Seed of the order.
        rank (int): This process. Default: 0
        world_size (int): Number of processes. Default: 1
        cameras (Optional[Sequence[int]]): Camera of each image. Default: all the same

    Raises:
        ValueError: If p or k is less than 1, the ranks do not divide p, or cameras do not fit the identities.
        DataError: If there are fewer identities than p.
    """

    def __init__(
        self,
        identities: Sequence[int],
        p: int,
        k: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        *,
        cameras: Optional[Sequence[int]] = None,
    ) -> None:
        if p < 1 or k < 1:
            raise ValueError(f"p and k must be at least 1, got p={p} and k={k}")
        _check_ranks("p", p, rank, world_size)
        if cameras is None:
            cameras = [0] * len(identities)
        if len(cameras) != len(identities):
            raise ValueError(
                f"got {len(identities)} identities but {len(cameras)} cameras; give one of each for every image"
            )
        groups: DefaultDict[int, List[int]] = defaultdict(list)
        for index, identity in enumerate(identities):
            groups[int(identity)].append(index)
        if len(groups) < p:
            raise DataError(
                f"a batch needs {p} identities, but there are only {len(groups)} in {len(identities)} images; "
                "lower p or give more identities"
            )
        self._images: Dict[int, List[int]] = dict(sorted(groups.items()))
        self._identities = list(self._images)
        self._cameras = [int(camera) for camera in cameras]
        self.p, self.k, self.seed = p, k, seed
        self.rank, self.world_size = rank, world_size
        self.batches_per_epoch = -(-len(self._identities) // p)
        self._order = _Permutation(len(self._identities), seed, "identities")

    def batch(self, step: int) -> List[SampleKey]:
        epoch, position = divmod(step, self.batches_per_epoch)
        chosen = _window(self._order(epoch), position, self.p)
        share = self.p // self.world_size
        chosen = chosen[self.rank * share : (self.rank + 1) * share]
        indices: List[int] = []
        for i in chosen:
            indices.extend(self._pick(self._identities[i], epoch))
        return _keys(indices, step)

    def _pick(self, identity: int, visit: int) -> List[int]:
        images = self._images[identity]
        windows = max(1, -(-len(images) // self.k))
        cycle, position = divmod(visit, windows)
        generator = generator_for(self.seed, "images", identity, cycle)
        shuffled = torch.randperm(len(images), generator=generator).tolist()
        order = self._spread([images[i] for i in shuffled])
        return _window(order, position, self.k)

    def _spread(self, images: List[int]) -> List[int]:
        """One image of each camera first, then a second one of each, and so on."""
        seen: CounterType[int] = Counter()
        turns = []
        for image in images:
            turns.append(seen[self._cameras[image]])
            seen[self._cameras[image]] += 1
        # sorting is stable: within a turn, the shuffled order stays
        return [image for _, image in sorted(zip(turns, images), key=lambda x: x[0])]


class ShuffleSampler:
    """Batches from an endless row of permutations, one an epoch. Nothing is dropped, nothing comes too often.

    A batch that crosses the end of an epoch goes on with the next one's permutation. Under several ranks, each takes
    its part of the batch that one process would see.

    Args:
        num_samples (int): Size of the data set.
        batch_size (int): Samples in a batch, over all ranks.
        seed (int): Seed of the order.
        rank (int): This process. Default: 0
        world_size (int): Number of processes. Default: 1
        order (Optional[Callable[[int, int], int]]): Which sample stands at a position of an epoch; ``seed`` is not used
            then. Default: a permutation of all, which is in memory

    Raises:
        ValueError: If a count is less than 1, or the ranks do not divide the batch.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        order: Optional[Callable[[int, int], int]] = None,
    ) -> None:
        if num_samples < 1 or batch_size < 1:
            raise ValueError(
                f"num_samples and batch_size must be at least 1, got {num_samples} and {batch_size}"
            )
        _check_ranks("batch_size", batch_size, rank, world_size)
        self.num_samples, self.batch_size = num_samples, batch_size
        self.rank, self.world_size = rank, world_size
        self.batches_per_epoch = -(-num_samples // batch_size)
        self._order = order or _Permutation(num_samples, seed, "samples").at

    def batch(self, step: int) -> List[SampleKey]:
        first = step * self.batch_size
        indices = []
        for place in range(first, first + self.batch_size):
            epoch, position = divmod(place, self.num_samples)
            indices.append(self._order(epoch, position))
        share = self.batch_size // self.world_size
        return _keys(indices, step)[self.rank * share : (self.rank + 1) * share]


class StepBatchSampler(Sampler[List[SampleKey]]):
    """The batches of steps ``start`` to ``stop - 1``, as ``DataLoader(batch_sampler=...)`` takes them.

    Args:
        sampler (StepSampler): Where the batches come from.
        start (int): First step: where a run begins or resumes.
        stop (int): Step to end before.
    """

    def __init__(self, sampler: StepSampler, start: int, stop: int) -> None:
        if not 0 <= start <= stop:
            raise ValueError(f"expected 0 <= start <= stop, got {start} and {stop}")
        self.sampler, self.start, self.stop = sampler, start, stop

    def __iter__(self) -> Iterator[List[SampleKey]]:
        for step in range(self.start, self.stop):
            yield self.sampler.batch(step)

    def __len__(self) -> int:
        return self.stop - self.start


class _Permutation:
    """The permutation of each epoch. Only the last is kept: steps come in order, and any other can be made again."""

    def __init__(self, size: int, seed: int, name: str) -> None:
        self._size, self._seed, self._name = size, seed, name
        self._last: Tuple[int, List[int]] = (-1, [])

    def __call__(self, epoch: int) -> List[int]:
        if self._last[0] != epoch:
            generator = generator_for(self._seed, self._name, epoch)
            order = torch.randperm(self._size, generator=generator).tolist()
            self._last = (epoch, order)
        return self._last[1]

    def at(self, epoch: int, position: int) -> int:
        return self(epoch)[position]


def _window(order: List[int], position: int, size: int) -> List[int]:
    """The ``position``-th run of ``size`` items, going on from the beginning where the order ends."""
    first = position * size
    return [order[place % len(order)] for place in range(first, first + size)]


def _keys(indices: List[int], step: int) -> List[SampleKey]:
    """Keys with the step as their draw; an index that comes again in the batch gets another draw, not a copy."""
    seen: CounterType[int] = Counter()
    keys = []
    for index in indices:
        keys.append(SampleKey(index, step + seen[index] * _REPEAT))
        seen[index] += 1
    return keys


def _check_ranks(name: str, count: int, rank: int, world_size: int) -> None:
    if not 0 <= rank < world_size:
        raise ValueError(
            f"rank must be between 0 and world_size - 1, got rank {rank} of {world_size}"
        )
    if count % world_size:
        raise ValueError(
            f"{name} is shared out over {world_size} ranks and must be a multiple of it, got {name}={count}"
        )
