# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from itertools import accumulate
from typing import Iterator, List, NamedTuple, Sequence, Tuple

import torch
from torchmultimodal_reid.utils.seeding import generator_for


class Piece(NamedTuple):
    """Some samples of a shard.

    Args:
        shard (int): Number of the shard.
        places (Tuple[int, ...]): Which of its samples.
    """

    shard: int
    places: Tuple[int, ...]


def share_bounds(num_samples: int, share: int, shares: int) -> Tuple[int, int]:
    """Where a share of an epoch begins and ends. All shares together are the epoch; they differ by one at most."""
    return num_samples * share // shares, num_samples * (share + 1) // shares


class EpochOrder:
    """The order of an epoch, a function of its number alone, cut into shares for ranks and workers.

    Shards come in a new order in each epoch, and a share takes a run of them; where its bounds lie within a shard, two
    shares take different samples of it. A share goes through its run in windows of a few shards, and mixes the samples
    of a window. So at most one window is in memory, however large the set.

    Args:
        counts (Sequence[int]): Samples of each shard.
        seed (int): Seed of the order.
        window (int): Shards that are mixed.
        shuffle (bool): Without it, everything comes in the order of the shards.
    """

    def __init__(
        self, counts: Sequence[int], seed: int, window: int, shuffle: bool
    ) -> None:
        self._counts, self._seed = list(counts), seed
        self._window, self._shuffle = window, shuffle

    def windows(self, epoch: int, share: int, shares: int) -> Iterator[List[Piece]]:
        """The windows of a share, one after the other."""
        window: List[Piece] = []
        for piece in self._pieces(epoch, share, shares):
            window.append(piece)
            if len(window) == self._window:
                yield window
                window = []
        if window:
            yield window

    def mixed(self, size: int, epoch: int, start: int, number: int) -> List[int]:
        """The order of the samples of a window: the ``number``-th of the share that begins at ``start``."""
        return self._permutation(size, "window", epoch, start, number)

    def _pieces(self, epoch: int, share: int, shares: int) -> Iterator[Piece]:
        first, last = share_bounds(sum(self._counts), share, shares)
        begin = 0
        for shard in self._permutation(len(self._counts), "shards", epoch):
            end = begin + self._counts[shard]
            low, high = max(first, begin), min(last, end)
            if low < high:
                places = self._permutation(self._counts[shard], "shard", epoch, shard)
                yield Piece(shard, tuple(places[low - begin : high - begin]))
            begin = end

    def _permutation(self, size: int, name: str, *keys: int) -> List[int]:
        if not self._shuffle:
            return list(range(size))
        generator = generator_for(self._seed, name, *keys)
        return torch.randperm(size, generator=generator).tolist()


class ShardOrder:
    """Which sample stands at a position of an epoch: the order of ``EpochOrder`` where nothing is shared out.

    It is a function of the seed, the epoch and the position alone. Samples have numbers, which go through the shards
    in order. One window of numbers is in memory, however large the set. Positions are asked for in ascending order; for
    any other, the epoch is drawn again up to it.

    Args:
        counts (Sequence[int]): Samples of each shard.
        seed (int): Seed of the order.
        window (int): Shards that are mixed. Default: 4
    """

    def __init__(self, counts: Sequence[int], seed: int, window: int = 4) -> None:
        self._firsts = [0, *accumulate(counts)]
        self._order = EpochOrder(counts, seed, window, shuffle=True)
        # the window that was asked for last, and those that follow it
        self._epoch, self._begin = 0, 0
        self._numbers: List[int] = []
        self._windows = self._draw(0)

    def __call__(self, epoch: int, position: int) -> int:
        if epoch != self._epoch or position < self._begin:
            self._epoch, self._begin = epoch, 0
            self._numbers, self._windows = [], self._draw(epoch)
        while position >= self._begin + len(self._numbers):
            self._begin += len(self._numbers)
            self._numbers = next(self._windows)
        return self._numbers[position - self._begin]

    def _draw(self, epoch: int) -> Iterator[List[int]]:
        for number, window in enumerate(self._order.windows(epoch, 0, 1)):
            found = [
                self._firsts[p.shard] + place for p in window for place in p.places
            ]
            mixed = self._order.mixed(len(found), epoch, 0, number)
            yield [found[place] for place in mixed]
