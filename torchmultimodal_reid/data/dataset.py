# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from collections import defaultdict
from typing import (
    DefaultDict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.image_cache import ImageCache
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.data.sample import PersonImage, without_captions
from torchmultimodal_reid.data.sample_maker import (
    ImageTransform,
    PersonSample,
    SampleMaker,
    TextTransform,
)
from torchmultimodal_reid.utils.seeding import generator_for

# far above any draw of a sampler: an image that stands for another is augmented unlike itself in the same batch
REPLACEMENT = 1 << 60


class SampleKey(NamedTuple):
    """What a sampler asks a data set for.

    Args:
        index (int): The image's position in the data set.
        draw (int): Which draw of the augmentation and of the caption: samplers give their step. Default: 0
        source (int): Which data set of a mixture. Default: 0
    """

    index: int  # type: ignore[assignment]  # shadows tuple.index, which nobody needs here
    draw: int = 0
    source: int = 0


class KeyedDataset(Protocol):
    """Samples by key, such as ``PersonDataset``; ``replaced_by`` says what may stand for one that cannot be read."""

    replaced_by: str

    def __len__(self) -> int: ...

    def __getitem__(self, key: SampleKey) -> PersonSample: ...

    def replacements(self, key: SampleKey) -> Iterator[SampleKey]: ...


class PersonDataset(Dataset):
    """Images of persons with their captions, ready for a model.

    A sample is a function of ``(seed, index, draw)`` alone: not of the worker, of what was read before, or of any
    global random state. Where an image has several captions, the draw picks one.

    Args:
        images (Sequence[PersonImage]): What a reader returned; see ``relabel_identities`` for training.
        image_transform (Optional[ImageTransform]): Without it, samples are text only. Default: ``None``
        caption_transform (Optional[TextTransform]): Without it, samples are images only. Default: ``None``
        seed (int): Seed of augmentation and choice of caption. Default: 0
        cache (Union[bool, ImageCache]): Whether to keep decoded images in memory, or a cache to share with another
            data set. Default: ``False``

    Raises:
        ValueError: If both transforms are missing, or a shared cache does not fit.
        DataError: If there are no images, or captions are asked for and some images have none.
    """

    replaced_by = "another image of the same identity"  # see replacements

    def __init__(
        self,
        images: Sequence[PersonImage],
        image_transform: Optional[ImageTransform] = None,
        caption_transform: Optional[TextTransform] = None,
        *,
        seed: int = 0,
        cache: Union[bool, ImageCache] = False,
    ) -> None:
        self.images = tuple(images)
        self.image_transform = image_transform
        self.caption_transform = caption_transform
        self.seed = seed
        if not self.images:
            raise DataError("a data set needs at least one image, got none")
        if image_transform is None and caption_transform is None:
            raise ValueError(
                "give an image_transform, a caption_transform or both; with neither, samples would be empty"
            )
        if caption_transform is not None:
            _check_captions(self.images)
        self._make = SampleMaker(image_transform, caption_transform, seed)
        self._by_identity: Optional[DefaultDict[int, List[int]]] = None
        self.cache: Optional[ImageCache] = None
        if image_transform is not None and cache is not False:
            self.cache = _image_cache(self.images, image_transform.image_size, cache)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: Union[int, SampleKey]) -> PersonSample:
        if not isinstance(key, SampleKey):
            key = SampleKey(int(key))
        person = self.images[key.index]
        read = read_image if self.cache is None else self._read_cached
        return self._make(person, key.index, key.draw, read)

    def replacements(self, key: SampleKey) -> Iterator[SampleKey]:
        """What may stand for a sample whose image cannot be read: the identity's other images.

        Their order is drawn from ``(seed, index, draw)``, so that it is the same in any worker and after any break.

        Args:
            key (SampleKey): The sample that is missing.
        """
        if self._by_identity is None:
            self._by_identity = defaultdict(list)
            for index, image in enumerate(self.images):
                self._by_identity[image.identity].append(index)
        same = self._by_identity[self.images[key.index].identity]
        generator = generator_for(self.seed, "replacement", key.index, key.draw)
        for i in torch.randperm(len(same), generator=generator).tolist():
            if same[i] != key.index:
                yield key._replace(index=same[i], draw=key.draw + REPLACEMENT)

    def _read_cached(self, path: str, image_size: Tuple[int, int]) -> Tensor:
        assert self.cache is not None
        return self.cache.read(path)


class MixtureDataset(Dataset):
    """Several data sets behind one: ``SampleKey.source`` picks which. Made for ``MixtureSampler``.

    Args:
        datasets (Sequence[KeyedDataset]): The data sets, such as an image-only, a text-only and a paired one.
    """

    def __init__(self, datasets: Sequence[KeyedDataset]) -> None:
        self.datasets: List[KeyedDataset] = list(datasets)
        self.replaced_by = self.datasets[0].replaced_by

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)

    def __getitem__(self, key: SampleKey) -> PersonSample:
        return self.datasets[key.source][key]

    def replacements(self, key: SampleKey) -> Iterator[SampleKey]:
        """As the sample's own data set has them."""
        return self.datasets[key.source].replacements(key)


def _check_captions(images: Sequence[PersonImage]) -> None:
    bare = without_captions(images)
    if bare:
        raise DataError(
            f"captions are asked for, but {len(bare)} of {len(images)} images have none: "
            f"{listed([image.path for image in bare])}. Keep the others with with_captions(images), or leave the "
            "caption_transform out to use images only"
        )


def _image_cache(
    images: Sequence[PersonImage],
    image_size: Tuple[int, int],
    cache: Union[bool, ImageCache],
) -> ImageCache:
    if not isinstance(cache, ImageCache):
        return ImageCache((image.path for image in images), image_size)
    absent = [image.path for image in images if image.path not in cache]
    if cache.image_size != tuple(image_size) or absent:
        raise ValueError(
            f"the shared cache holds {len(cache)} images of {cache.image_size}; this data set needs {image_size} and "
            f"{len(absent)} images that the cache was not made for"
        )
    return cache
