# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""From a data set on disk to what a recipe trains on; what both pipelines share."""

from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, Optional, Sequence, Tuple

import torch
from examples.common.checks import check_choice, check_range
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.registry import dataset_info, DATASETS, read_dataset
from torchmultimodal_reid.data.sample import (
    PersonImage,
    ReIDSplit,
    relabel_identities,
    with_captions,
)
from torchmultimodal_reid.data.validation import split_validation
from torchmultimodal_reid.evaluation.training_protocols import get_training_protocol
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    TrainImageTransform,
)
from torchmultimodal_reid.utils.seeding import generator_for


@dataclass
class DataConfig:
    """A data set and how it is read."""

    # folder of the data set; not needed with data.protocol or data.shards
    root: str = field(default="???", metadata={"unless": ("protocol", "shards")})
    dataset: str = "market1501"  # which reader, by its name in docs/datasets.md
    options: Dict[str, Any] = field(default_factory=dict)  # of the reader
    # stands on the results; data.protocol or data.dataset where it is not given
    name: str = ""
    # folder of tar shards to pretrain on instead, see docs/datasets.md; its images are in no list in memory
    shards: Optional[str] = None
    # what to learn from and what to test on, by a name of docs/protocols.md, such as P1 or market1501-to-msmt17
    protocol: Optional[str] = None
    # folder of each data set of the protocol; data.options then holds the options of each, by its name
    roots: Dict[str, str] = field(default_factory=dict)
    # of the protocol's small test sets, means over ten splits; null for the published ones, where there are any
    split_seed: Optional[int] = 0
    captions: Optional[str] = (
        None  # captions JSON; captions.json in the root where it is not given
    )
    missing_captions: str = "error"  # error or allow: what images without a caption are
    validation_share: float = (
        0.1  # share of the training identities that is kept for validation
    )
    # share of the identities left after that which is trained on; a smaller share is part of each larger one
    identity_share: float = 1.0
    # choose the best model on the test part instead of a validation split; each result then says so
    select_on_test_set: bool = False
    workers: int = 2  # processes that load images
    # unreadable training images to replace by others of their identities or shards; 0 ends the run at the first
    max_unreadable: int = 10
    cache: bool = False  # keep the decoded images in shared memory

    def __post_init__(self) -> None:
        dataset_info(self.dataset)  # tells the nearest name
        self._check_protocol()
        for option in ("captions", "missing_captions"):
            if option in self.options:
                raise ValueError(
                    f"data.options.{option} is set; expected it as data.{option}"
                )
        check_choice("data.missing_captions", self.missing_captions, ("error", "allow"))
        check_range("data.workers", self.workers, 0)
        check_range("data.max_unreadable", self.max_unreadable, 0)
        if not 0 < self.identity_share <= 1:
            raise ValueError(
                f"data.identity_share must be above 0 and at most 1, got {self.identity_share}"
            )
        if not 0 <= self.validation_share < 1:
            raise ValueError(
                f"data.validation_share must be at least 0 and less than 1, got {self.validation_share}"
            )

    @property
    def title(self) -> str:
        """What the results are called."""
        # not written to name: a configuration is first made of defaults, then of what is given
        return self.name or self.protocol or self.dataset

    def _check_protocol(self) -> None:
        if self.protocol is None:
            if self.roots:
                raise ValueError(
                    "data.roots is for the data sets of data.protocol, which is not given; expected data.root"
                )
            return
        needed = get_training_protocol(self.protocol, tuple(DATASETS)).datasets
        given = (("data.roots", self.roots), ("data.options", self.options))
        for key, value in given:
            unknown = [name for name in value if name not in needed]
            if unknown:
                raise ValueError(
                    f"{key}.{unknown[0]}: protocol {self.protocol} has no such data set; it has {', '.join(needed)}"
                )
        if self.captions is not None:
            raise ValueError(
                f"data.captions is for one data set; give data.options.{needed[0]}.captions for each of data.protocol"
            )


@dataclass
class ImageConfig:
    """Size, normalisation and augmentation of images."""

    size: Tuple[int, int] = (256, 128)  # height and width in pixels
    mean: Tuple[float, float, float] = IMAGENET_MEAN  # of the channels, in 0..1
    std: Tuple[float, float, float] = IMAGENET_STD  # of the channels, in 0..1
    flip: float = (
        0.5  # probability to mirror the image and swap left and right in its caption
    )
    pad: Optional[int] = (
        None  # pixels by which the crop may move; in proportion to 10 at a height of 256 if not given
    )
    scale: Tuple[float, float] = (1.0, 1.0)  # size of the crop relative to the image
    color_jitter: Tuple[float, float, float, float] = (
        0.2,
        0.2,
        0.2,
        0.0,
    )  # brightness, contrast, saturation, hue
    channel_gain: float = (
        0.1  # colour cast: factor of each channel, from 1 - x to 1 + x
    )
    erase: float = 0.5  # probability to erase a rectangle

    def train_transform(self) -> TrainImageTransform:
        """The augmentation that these numbers describe."""
        return TrainImageTransform(
            self.size,
            flip=self.flip,
            pad=self.pad,
            scale=self.scale,
            color_jitter=self.color_jitter,
            channel_gain=self.channel_gain,
            erase=self.erase,
        )


def read_split(config: DataConfig) -> ReIDSplit:
    """The data set on disk, captions joined.

    Raises:
        DataError: If it cannot be read, or shards are given in its place.
    """
    if config.shards is not None:
        raise DataError(
            f"data.shards is {config.shards!r}, but shards are for pretraining alone: fine-tuning draws K images of "
            "each of P people, evaluation ranks a test part; give data.root, the folder that the shards were written "
            "from"
        )
    options = dict(config.options)
    # data sets that come with their captions have no such options
    if config.captions is not None:
        options["captions"] = config.captions
    if config.missing_captions != "error":
        options["missing_captions"] = config.missing_captions
    split = read_dataset(config.dataset, config.root, **options)
    return split._replace(name=config.title)


def training_parts(
    images: Sequence[PersonImage],
    validation_share: float,
    seed: int,
    tells_cameras: bool = True,
) -> Tuple[Tuple[PersonImage, ...], Optional[ReIDSplit]]:
    """Training images with identities 0..n-1, and a validation split of identities that are not among them.

    Args:
        images (Sequence[PersonImage]): The training part of a data set.
        validation_share (float): Share of its identities to keep for validation; 0 for none.
        seed (int): Which identities.
        tells_cameras (bool): Whether the data set says which camera an image is of. Default: True.
    """
    if validation_share == 0:
        return relabel_identities(images), None
    # captions can be searched with where no camera is known; images could only find images of their own camera
    camera_filter = tells_cameras or not with_captions(images)
    split = split_validation(images, validation_share, seed, camera_filter)
    return relabel_identities(split.train), split._replace(tells_cameras=tells_cameras)


def take_identities(
    images: Sequence[PersonImage], share: float, seed: int
) -> Tuple[PersonImage, ...]:
    """The images of a share of the identities, drawn by the seed, with identities 0..n-1.

    Args:
        images (Sequence[PersonImage]): Training images.
        share (float): Share of the identities, above 0 and at most 1; at least one stays. A smaller share is part of
            each larger one of the same seed.
        seed (int): Which identities.
    """
    identities = sorted({image.identity for image in images})
    generator = generator_for(seed, "identity share")
    order = torch.randperm(len(identities), generator=generator).tolist()
    kept = {identities[i] for i in order[: max(1, round(share * len(identities)))]}
    return relabel_identities(image for image in images if image.identity in kept)


def captioned(images: Sequence[PersonImage]) -> Tuple[PersonImage, ...]:
    """The images that have a caption, of which there must be some; the reader has told how many have none."""
    kept = with_captions(images)
    if not kept:
        raise DataError(
            f"none of the {len(images)} images has a caption; expected a captions.json in data.root, or data.captions"
        )
    return kept


def all_captions(images: Sequence[PersonImage]) -> Tuple[str, ...]:
    """Every caption of the images, to train a tokeniser on."""
    return tuple(caption for image in images for caption in image.captions)


def check_captions(images: Iterable[PersonImage], transform: CaptionTransform) -> None:
    """Reads every caption once, as it is and as a mirrored image has it, so that no bad one is met after hours.

    Raises:
        DataError: With the image whose caption is empty, or too long where that is an error.
    """
    for image in images:
        for caption in image.captions:
            try:
                transform(caption)
                transform(caption, flipped=True)
            except ValueError as error:
                raise DataError(f"{image.path}: {error}") from error
