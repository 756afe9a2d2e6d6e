# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a pretraining draws its samples from: tar shards, whose images nobody could keep a list of in memory."""

import os
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Dict, Iterator, Optional, Tuple

from examples.common.data import check_captions, DataConfig
from examples.common.run_checkpoints import SHARDS
from torchmultimodal_reid.data.errors import UnreadableImageError
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.data.samplers import ShuffleSampler
from torchmultimodal_reid.data.shards.numbered import NumberedShards
from torchmultimodal_reid.data.shards.order import ShardOrder
from torchmultimodal_reid.data.shards.samples import ShardSamples
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import TrainImageTransform

# what a reader or a choice among its images would be asked for, and its value where it is not given
_OF_READERS: Dict[str, Tuple[Any, ...]] = {
    "root": ("", "???"),
    "protocol": (None,),
    "roots": ({},),
    "options": ({},),
    "captions": (None,),
    "missing_captions": ("error",),
    "identity_share": (1.0,),
    "select_on_test_set": (False,),
    "cache": (False,),
}


def open_shards(config: DataConfig) -> "ShardSource":
    """The training part of ``data.shards``.

    Raises:
        ValueError: If another key asks for what shards cannot give.
        DataError: If the shards are missing, damaged or of another version.
    """
    assert config.shards is not None
    for key, unset in _OF_READERS.items():
        if getattr(config, key) not in unset:
            raise ValueError(
                f"data.{key} is {getattr(config, key)!r}, but data.shards takes all that was written into its shards, "
                f"as they are; leave data.{key} out, or data.shards"
            )
    if config.validation_share != 0:
        raise ValueError(
            f"data.validation_share is {config.validation_share}, but nothing can be held out of data.shards; give "
            "data.validation_share=0. The last step is then the result"
        )
    return ShardSource(ShardSamples(config.shards))


class ShardSource:
    """Tar shards; all but the index stays on disk.

    Args:
        samples (ShardSamples): The shards.
    """

    where_captions_are = "shards of a data set with captions"

    def __init__(self, samples: ShardSamples) -> None:
        self.samples = samples
        self.stamp = {SHARDS: samples.fingerprint}

    def __len__(self) -> int:
        return len(self.samples)

    def captions(self) -> "_Captions":
        return _Captions(self.samples)

    @property
    def has_captions(self) -> bool:
        return self.samples.part.num_captions > 0

    def captioned(self) -> "ShardSource":
        self.samples.check_captioned()
        return self

    def check_captions(self, read: CaptionTransform) -> None:
        check_captions(self.samples.people(), read)

    def dataset(
        self,
        see: Optional[TrainImageTransform],
        read: Optional[CaptionTransform],
        seed: int,
    ) -> NumberedShards:
        return NumberedShards(self.samples, see, read, seed=seed)

    def sampler(
        self,
        batch_size: int,
        images_per_identity: Optional[int],
        seed: int,
        rank: int,
        world_size: int,
    ) -> ShuffleSampler:
        assert images_per_identity is None, "the configurations refuse it"
        order = ShardOrder(self.samples.counts, seed)
        return ShuffleSampler(len(self), batch_size, seed, rank, world_size, order)

    @contextmanager
    def shown(self, count: int) -> Iterator[Tuple[PersonImage, ...]]:
        found = []
        with TemporaryDirectory() as folder:
            for number in range(0, len(self), max(1, len(self) // count)):
                raw = self.samples.read(number)
                try:
                    raw.decode(raw.person.path, (1, 1))
                except UnreadableImageError:  # told of in training
                    continue
                path = os.path.join(folder, str(number))
                with open(path, "wb") as file:
                    file.write(raw.data)
                if raw.person.captions:
                    found.append(raw.person._replace(path=path))
            yield tuple(found)


class _Captions:
    """The captions of shards, read from disk each time anew."""

    def __init__(self, samples: ShardSamples) -> None:
        self.samples = samples

    def __iter__(self) -> Iterator[str]:
        for person in self.samples.people():
            yield from person.captions
