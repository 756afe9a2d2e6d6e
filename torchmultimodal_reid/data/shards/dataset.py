# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, Dict, Iterator, List, Optional

from torch.utils.data import get_worker_info, IterableDataset
from torchmultimodal_reid.data.sample_maker import (
    ImageTransform,
    PersonSample,
    SampleMaker,
    TextTransform,
)
from torchmultimodal_reid.data.shards.index import check_captioned, open_part, Relabel
from torchmultimodal_reid.data.shards.order import EpochOrder, share_bounds
from torchmultimodal_reid.data.shards.reader import RawSample, read_shard


class ShardDataset(IterableDataset):
    """The samples of ``PersonDataset``, streamed from tar shards in bounded memory.

    Sample ``i`` in epoch ``e`` equals ``PersonDataset(split.train, ...)[SampleKey(i, draw=e)]``. Their order is a
    function of ``(seed, epoch)`` and of how many share the set. Every epoch gives every sample once: ranks and workers
    take shares that differ by one sample at most. ``window`` shards are in memory, whatever the size of the set.

    Iterating goes to the end of the epoch, and the next time through the next epoch; with ``endless``, on and on (so
    that no rank runs out before another). ``state_dict`` tells the position in the process that iterates; under loader
    workers use ``ShardLoader``, which keeps theirs.

    Args:
        folder (str): What ``python -m torchmultimodal_reid.data.shards`` wrote.
        part (str): ``train``, ``query`` or ``gallery``. Default: ``"train"``
        image_transform (Optional[ImageTransform]): Without it, samples are text only. Default: ``None``
        caption_transform (Optional[TextTransform]): Without it, samples are images only. Default: ``None``
        seed (int): Seed of order, augmentation and choice of caption. Default: 0
        rank (int): This process. Default: 0
        world_size (int): Number of processes. Default: 1
        shuffle (bool): Without it, samples come as they were written. Default: ``True``
        window (int): Shards whose samples are mixed, and held in memory. Default: 4
        relabel (bool): Whether identities become 0..n-1, as training needs them. Default: ``False``
        endless (bool): Whether to go on after the end of an epoch. Default: ``False``

    Raises:
        ValueError: If both transforms are missing, ``window`` is less than 1, or the rank does not fit.
        DataError: If the index is missing or damaged, has no such part, captions are asked for and some images have
            none, or (on iterating) a shard was changed.
    """

    def __init__(
        self,
        folder: str,
        part: str = "train",
        image_transform: Optional[ImageTransform] = None,
        caption_transform: Optional[TextTransform] = None,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
        window: int = 4,
        relabel: bool = False,
        endless: bool = False,
    ) -> None:
        if image_transform is None and caption_transform is None:
            raise ValueError("give an image_transform, a caption_transform or both")
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        if not 0 <= rank < world_size:
            raise ValueError(
                f"rank must be between 0 and world_size - 1, got rank {rank} of {world_size}"
            )
        self.folder, self.part = folder, open_part(folder, part)
        if caption_transform is not None:
            check_captioned(self.part, part, folder)
        self.rank, self.world_size, self.endless = rank, world_size, endless
        self._make = SampleMaker(image_transform, caption_transform, seed)
        self._relabel = Relabel(self.part.identity_ranges)
        self._relabels = relabel
        counts = [shard.num_samples for shard in self.part.shards]
        self._order = EpochOrder(counts, seed, window, shuffle)
        self._stamp = {
            "shards": [shard.sha256 for shard in self.part.shards],
            "seed": seed,
            "shuffle": shuffle,
            "window": window,
            "rank": rank,
            "world_size": world_size,
        }
        self._epoch, self._position = 0, 0

    @property
    def num_identities(self) -> int:
        """Identities of the part."""
        return len(self._relabel)

    def __len__(self) -> int:
        """Samples of this rank in an epoch."""
        return self.share_size(0, 1)

    def share_size(self, worker: int, workers: int) -> int:
        """Samples of a worker of this rank in an epoch."""
        first, last = share_bounds(
            self.part.num_samples,
            self.rank * workers + worker,
            self.world_size * workers,
        )
        return last - first

    def __iter__(self) -> Iterator[PersonSample]:
        info = get_worker_info()
        if info is not None:
            yield from self.stream(self._epoch, 0, info.id, info.num_workers)
            return
        while True:
            while self._position < len(self):
                for sample in self.stream(self._epoch, self._position):
                    self._position += 1
                    yield sample
            self._epoch, self._position = self._epoch + 1, 0
            if not self.endless or not len(self):
                return

    def stream(
        self, epoch: int, position: int, worker: int = 0, workers: int = 1
    ) -> Iterator[PersonSample]:
        """A worker's samples of one epoch from a position on. What lies before it is not read.

        Args:
            epoch (int): The epoch.
            position (int): Samples of this share that were seen already.
            worker (int): Which worker of this rank. Default: 0
            workers (int): Workers of a rank. Default: 1
        """
        share, shares = self.rank * workers + worker, self.world_size * workers
        start, _ = share_bounds(self.part.num_samples, share, shares)
        for number, window in enumerate(self._order.windows(epoch, share, shares)):
            size = sum(len(piece.places) for piece in window)
            if position >= size:
                position -= size
                continue
            samples: List[RawSample] = []
            for piece in window:
                shard = read_shard(self.folder, self.part.shards[piece.shard])
                samples += [shard[place] for place in piece.places]
            for place in self._order.mixed(size, epoch, start, number)[position:]:
                yield self._sample(samples[place], epoch)
            position = 0

    def _sample(self, raw: RawSample, epoch: int) -> PersonSample:
        sample = self._make(raw.person, raw.index, epoch, raw.decode)
        if self._relabels:
            sample = sample._replace(identity=self._relabel(sample.identity))
        return sample

    def set_epoch(self, epoch: int) -> None:
        """Goes to the beginning of an epoch."""
        self._epoch, self._position = epoch, 0

    def state_dict(self) -> Dict[str, Any]:
        """The position: iterating a data set that loaded it goes on with the next sample."""
        return {**self._stamp, "epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Goes to a position.

        Raises:
            ValueError: If it is of other shards, another order, or another number of processes.
        """
        self.check_state(state)
        self._epoch, self._position = state["epoch"], state["position"]

    def check_state(self, state: Dict[str, Any]) -> None:
        """Raises a ValueError where a state is of other shards or another order than this."""
        for key, value in self._stamp.items():
            if state.get(key) != value:
                shown = (
                    "" if key == "shards" else f": {state.get(key)!r}, not {value!r}"
                )
                raise ValueError(
                    f"the position to resume was saved with another {key}{shown}; resume with what it was saved with"
                )
