# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, Iterable, Mapping, NamedTuple, Optional, Tuple


class PersonImage(NamedTuple):
    """One image of one person, as a reader found it on disk. No reader opens the image itself.

    Args:
        path (str): Where the image is.
        identity (int): The data set's own number of the person.
        camera (int): The camera, counted from 0.
        captions (Tuple[str, ...]): The captions of this image. Default: none
        attributes (Optional[Mapping[str, Any]]): ``{"attributes": {...}, "told": [...]}`` where the captions file has
            it: the person's attributes, and for each caption those that it tells. Default: ``None``
    """

    path: str
    identity: int
    camera: int
    captions: Tuple[str, ...] = ()
    attributes: Optional[Mapping[str, Any]] = None


class ReIDSplit(NamedTuple):
    """What a reader returns: a data set's images in the three parts of a re-identification protocol.

    Args:
        name (str): The data set's name, for stamps and tables.
        root (str): The folder that was read.
        train (Tuple[PersonImage, ...]): Images to learn from.
        query (Tuple[PersonImage, ...]): Images (and, by their captions, texts) to search with.
        gallery (Tuple[PersonImage, ...]): Images to search in.
        tells_cameras (bool): Whether the data set says which camera an image is of. Where it does not, as CUHK-PEDES,
            all cameras are 0. Default: True.
    """

    name: str
    root: str
    train: Tuple[PersonImage, ...]
    query: Tuple[PersonImage, ...]
    gallery: Tuple[PersonImage, ...]
    tells_cameras: bool = True


def relabel_identities(images: Iterable[PersonImage]) -> Tuple[PersonImage, ...]:
    """The same images with identities 0..n-1, in the order of the data set's own numbers.

    The numbers are sorted, never taken from the order of a set: that order differs between processes, and then
    every rank would train another classifier.
    """
    images = tuple(images)
    numbers = sorted({image.identity for image in images})
    label = {number: index for index, number in enumerate(numbers)}
    return tuple(image._replace(identity=label[image.identity]) for image in images)


def with_captions(images: Iterable[PersonImage]) -> Tuple[PersonImage, ...]:
    """The images that have at least one caption."""
    return tuple(image for image in images if image.captions)


def without_captions(images: Iterable[PersonImage]) -> Tuple[PersonImage, ...]:
    """The images that have no caption."""
    return tuple(image for image in images if not image.captions)


def expand_captions(images: Iterable[PersonImage]) -> Tuple[PersonImage, ...]:
    """One entry for each caption, in order: the text queries of a split. Images without captions give none.

    ``attributes["told"]`` is narrowed together with the captions, so that it stays parallel to them.
    """
    expanded = []
    for image in images:
        for position, caption in enumerate(image.captions):
            attributes = image.attributes
            if attributes is not None and attributes.get("told"):
                attributes = {**attributes, "told": [attributes["told"][position]]}
            expanded.append(image._replace(captions=(caption,), attributes=attributes))
    return tuple(expanded)
