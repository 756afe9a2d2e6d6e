# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Images a second that the data loader gives, without a model: from folders and from tar shards, by workers."""

import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Sequence, Tuple

import numpy as np
import torch
from examples.common.loaders import training_loader
from examples.common.patient_loader import PatientLoader
from examples.common.shard_source import ShardSource
from examples.common.sources import FileSource
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchmultimodal_reid.data.collate import Collate, PersonBatch
from torchmultimodal_reid.data.dataset import SampleKey
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.sample_maker import PersonSample, SampleMaker
from torchmultimodal_reid.data.shards.samples import ShardSamples
from torchmultimodal_reid.data.shards.writer import write_shards
from torchmultimodal_reid.transforms.image import TrainImageTransform

Size = Tuple[int, int]  # height and width in pixels
COARSE = (16, 8)  # colours of a picture before it is enlarged
NOISE = (
    6.0  # standard deviation of each value, of 255: JPEGs of photographs are no smaller
)


class Contender(NamedTuple):
    """One way to the same samples."""

    pictures: str  # the size of the files
    source: str
    workers: int
    make_loader: Callable[[], PatientLoader]


class FullyDecoded(Dataset):
    """As ``PersonDataset``, but a JPEG is decoded at its own size before it is resized.

    Args:
        images (Sequence[PersonImage]): The images.
        transform (TrainImageTransform): The augmentation.
    """

    def __init__(
        self, images: Sequence[PersonImage], transform: TrainImageTransform
    ) -> None:
        self.images = images
        self._make = SampleMaker(transform, None, seed=0)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: SampleKey) -> PersonSample:
        person = self.images[key.index]
        return self._make(person, key.index, key.draw, decode_fully)


def decode_fully(path: str, image_size: Size) -> Tensor:
    """What ``read_image`` gives, without JPEG's draft mode: uint8 of shape ``(3, h, w)``."""
    height, width = image_size
    with Image.open(path) as file:
        image = file.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def write_pictures(folder: Path, count: int, size: Size) -> ReIDSplit:
    """JPEGs of smooth random colours with some noise, four of each identity."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    height, width = size
    images = []
    for number in range(count):
        coarse = generator.integers(256, size=(*COARSE, 3), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(smooth) + generator.normal(0, NOISE, (height, width, 3))
        path = folder / f"{number:06d}.jpg"
        picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        picture.save(path, quality=90)
        images.append(PersonImage(str(path), number // 4, number % 4))
    return ReIDSplit("pictures", str(folder), tuple(images), (), ())


def contenders(
    folder: Path,
    size: Size,
    count: int,
    workers: Sequence[int],
    image_size: Size,
    batch_size: int,
) -> List[Contender]:
    """Each source with each number of workers; the first is what the others are compared with.

    Full decoding is added where draft mode does something: where files are at least four times as large as what is
    asked for.
    """
    name = f"{size[0]}x{size[1]}"
    split = write_pictures(folder / name, count, size)
    write_shards(split, str(folder / f"{name}-shards"), shard_size=128)
    see = TrainImageTransform(image_size)
    files, shards = FileSource(split.train), ShardSource(
        ShardSamples(str(folder / f"{name}-shards"))
    )
    sampler = files.sampler(batch_size, None, 0, 0, 1)
    datasets: Dict[str, Tuple[Dataset, Any]] = {
        "folder": (files.dataset(see, None, 0), sampler),
        "shards": (
            shards.dataset(see, None, 0),
            shards.sampler(batch_size, None, 0, 0, 1),
        ),
    }
    if min(size[0] // image_size[0], size[1] // image_size[1]) >= 4:
        datasets["folder, decoded in full"] = (FullyDecoded(split.train, see), sampler)
    return [
        Contender(
            name,
            source,
            number,
            partial(
                training_loader,
                dataset,
                order,
                Collate(0),
                start=0,
                stop=first_batches(number) + max(2, count // batch_size),
                workers=number,
            ),
        )
        for source, (dataset, order) in datasets.items()
        for number in workers
    ]


def first_batches(workers: int) -> int:
    """Those that are not counted: the first of each worker, which has to start."""
    return max(1, workers)


def images_per_second(
    batches: Iterable[PersonBatch],
    skip: int,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Of all batches but the first ``skip``, from the moment when the last of these has come."""
    start, images = clock(), 0
    for number, batch in enumerate(batches, start=1):
        if number == skip:
            start = clock()
        elif number > skip:
            images += len(batch.index)
    return images / (clock() - start)
