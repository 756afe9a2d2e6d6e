# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Callable, NamedTuple, Optional, Protocol, Tuple

import torch
from torch import Tensor
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.transforms.image import ImageTransformOutput
from torchmultimodal_reid.utils.seeding import generator_for


class ImageTransform(Protocol):
    """What a data set needs of an image transform, such as ``EvalImageTransform`` or ``TrainImageTransform``."""

    image_size: Tuple[int, int]

    def __call__(
        self, image: Tensor, generator: torch.Generator
    ) -> ImageTransformOutput: ...


class TextTransform(Protocol):
    """What a data set needs of a caption transform, such as ``CaptionTransform``."""

    def __call__(self, caption: str, flipped: bool = False) -> Tensor: ...


class PersonSample(NamedTuple):
    """One sample.

    Args:
        image (Optional[Tensor]): uint8 image of shape ``(3, h, w)``, or ``None`` for text only.
        text (Optional[Tensor]): Token ids, long, of shape ``(s,)``, or ``None`` for images only.
        identity (int): As in the data set's ``PersonImage``.
        camera (int): As in the data set's ``PersonImage``.
        index (int): The image's position in the data set.
        draw (int): Which draw of augmentation and caption it is. Default: 0
        path (str): The image's file, as in the data set's ``PersonImage``. Default: ``""``
    """

    image: Optional[Tensor]
    text: Optional[Tensor]
    identity: int
    camera: int
    index: int  # type: ignore[assignment]  # shadows tuple.index
    draw: int = 0
    path: str = ""


class SampleMaker:
    """Makes samples of images with captions: what files in folders and files in shards share.

    A sample is a function of the seed, the image's index and the draw alone. Where an image has several captions, the
    draw picks one.

    Args:
        image_transform (Optional[ImageTransform]): Without it, samples are text only.
        caption_transform (Optional[TextTransform]): Without it, samples are images only.
        seed (int): Seed of augmentation and choice of caption.

    Inputs:
        person (PersonImage): The image.
        index (int): Its position in the data set.
        draw (int): Which draw of augmentation and caption.
        read (Callable[[str, Tuple[int, int]], Tensor]): Gives the decoded and resized image of a path and a size.
    """

    def __init__(
        self,
        image_transform: Optional[ImageTransform],
        caption_transform: Optional[TextTransform],
        seed: int,
    ) -> None:
        self.image_transform = image_transform
        self.caption_transform = caption_transform
        self.seed = seed

    def __call__(
        self,
        person: PersonImage,
        index: int,
        draw: int,
        read: Callable[[str, Tuple[int, int]], Tensor],
    ) -> PersonSample:
        generator = generator_for(self.seed, "sample", index, draw)
        # the caption is drawn first, so that the choice does not depend on how much the image transform draws
        caption = self._caption(person, generator)
        image, flipped = None, False
        if self.image_transform is not None:
            pixels = read(person.path, self.image_transform.image_size)
            image, flipped = self.image_transform(pixels, generator)
        text = self._text(person, caption, flipped)
        return PersonSample(
            image, text, person.identity, person.camera, index, draw, person.path
        )

    def _caption(
        self, person: PersonImage, generator: torch.Generator
    ) -> Optional[str]:
        if self.caption_transform is None:
            return None
        if len(person.captions) == 1:
            return person.captions[0]
        choice = torch.randint(len(person.captions), (1,), generator=generator)
        return person.captions[int(choice)]

    def _text(
        self, person: PersonImage, caption: Optional[str], flipped: bool
    ) -> Optional[Tensor]:
        if self.caption_transform is None or caption is None:
            return None
        try:
            return self.caption_transform(caption, flipped)
        except ValueError as error:
            raise DataError(f"{person.path}: {error}") from error
