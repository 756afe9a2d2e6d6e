# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a pretraining draws its samples from: the images of a reader, which lie in files of their own."""

from contextlib import contextmanager
from functools import lru_cache
from typing import (
    Any,
    ContextManager,
    Dict,
    Iterable,
    Iterator,
    Optional,
    Protocol,
    Tuple,
    Union,
)

from examples.common.data import all_captions, captioned, check_captions
from examples.common.loaders import identity_sampler
from torchmultimodal_reid.data.dataset import PersonDataset
from torchmultimodal_reid.data.image_cache import ImageCache
from torchmultimodal_reid.data.sample import PersonImage, with_captions
from torchmultimodal_reid.data.samplers import ShuffleSampler, StepSampler
from torchmultimodal_reid.data.shards.numbered import NumberedShards
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import TrainImageTransform


class Source(Protocol):
    """Images with captions, wherever they lie: :class:`FileSource` or :class:`ShardSource`."""

    stamp: Dict[str, Any]  # for the checkpoints: what a run must find again to go on
    where_captions_are: str  # for errors: what was expected

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def captions(self) -> Iterable[str]:
        """Every caption, to train a tokeniser on; can be read more than once."""
        ...

    @property
    def has_captions(self) -> bool:
        """Whether any image has one."""
        ...

    def captioned(self) -> "Source":
        """The images that have a caption. Raises a DataError where there are none."""
        ...

    def check_captions(self, read: CaptionTransform) -> None:
        """Reads every caption once, and raises a DataError with the image of the first bad one."""
        ...

    def dataset(
        self,
        see: Optional[TrainImageTransform],
        read: Optional[CaptionTransform],
        seed: int,
    ) -> Union[PersonDataset, NumberedShards]:
        """Samples by key; see ``PersonDataset``."""
        ...

    def sampler(
        self,
        batch_size: int,
        images_per_identity: Optional[int],
        seed: int,
        rank: int,
        world_size: int,
    ) -> StepSampler:
        """Random batches, or so many images of each identity; a batch is a function of the seed and the step alone."""
        ...

    def shown(self, count: int) -> ContextManager[Tuple[PersonImage, ...]]:
        """A context that gives images with captions, as files, to make a picture of ``count`` of them."""
        ...


class FileSource:
    """The images of a reader, all of them known.

    Args:
        images (Tuple[PersonImage, ...]): The images.
        cache (bool): Whether to keep them in shared memory, decoded. Default: False
    """

    where_captions_are = "a captions.json in data.root, or data.captions"

    def __init__(self, images: Tuple[PersonImage, ...], cache: bool = False) -> None:
        self.images = images
        self.stamp: Dict[str, Any] = {}
        self._cache = lru_cache(
            lambda size: cache and ImageCache((image.path for image in images), size)
        )

    def __len__(self) -> int:
        return len(self.images)

    def captions(self) -> Tuple[str, ...]:
        return all_captions(self.images)

    @property
    def has_captions(self) -> bool:
        return any(image.captions for image in self.images)

    def captioned(self) -> "FileSource":
        kept = FileSource(captioned(self.images))
        kept._cache = self._cache  # an image is decoded once, whoever asks for it
        return kept

    def check_captions(self, read: CaptionTransform) -> None:
        check_captions(self.images, read)

    def dataset(
        self,
        see: Optional[TrainImageTransform],
        read: Optional[CaptionTransform],
        seed: int,
    ) -> PersonDataset:
        cache = False if see is None else self._cache(see.image_size)
        return PersonDataset(self.images, see, read, seed=seed, cache=cache)

    def sampler(
        self,
        batch_size: int,
        images_per_identity: Optional[int],
        seed: int,
        rank: int,
        world_size: int,
    ) -> StepSampler:
        k = images_per_identity
        if k is None:
            return ShuffleSampler(len(self), batch_size, seed, rank, world_size)
        return identity_sampler(self.images, batch_size // k, k, seed, rank, world_size)

    @contextmanager
    def shown(self, count: int) -> Iterator[Tuple[PersonImage, ...]]:
        yield with_captions(self.images)
