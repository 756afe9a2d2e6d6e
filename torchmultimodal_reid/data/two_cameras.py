# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The sets of two cameras, in which people seen by one camera are searched among those seen by the other."""

import os
import re
from typing import Iterable, List, Sequence, Tuple

from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.folders import EXTENSIONS, image_names, printable
from torchmultimodal_reid.data.half_splits import IdentitySplit, of_identities
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

CAMERAS = ("cam_a", "cam_b")


def read_camera_folders(
    root: str,
    pattern: "re.Pattern[str]",
    expected: str,
    extensions: Sequence[str] = EXTENSIONS,
) -> Tuple[PersonImage, ...]:
    """The images of ``cam_a`` and ``cam_b``, in the order of their names.

    Args:
        root (str): The folder of the two.
        pattern (re.Pattern[str]): Beginning of a file's name; its first group is the identity.
        expected (str): What a name should say, ending in an example, for the messages.
        extensions (Sequence[str]): Of images, in lower case. Default: jpg, jpeg and png

    Raises:
        DataError: If a folder is missing or has no images, or a name does not parse.
    """
    images: List[PersonImage] = []
    for camera, folder in enumerate(CAMERAS):
        place = os.path.join(root, folder)
        for name in image_names(place, extensions, expected=expected.split()[-1]):
            path = os.path.join(place, name)
            match = pattern.match(name)
            if match is None:
                raise DataError(f"{printable(path)}: the name does not say {expected}")
            images.append(PersonImage(path, int(match[1]), camera))
    return tuple(images)


def in_both_cameras(images: Iterable[PersonImage], where: str) -> Tuple[int, ...]:
    """The identities of a set of two cameras, each of which must be seen by both.

    Raises:
        DataError: Names the identities that only one camera saw.
    """
    cameras = [set(), set()]  # type: ignore[var-annotated]
    for image in images:
        cameras[image.camera].add(image.identity)
    single = sorted(cameras[0] ^ cameras[1])
    if single:
        raise DataError(
            f"{where}: only one camera has identity {listed([str(i) for i in single])}; expected images of every "
            "person from both"
        )
    return tuple(sorted(cameras[0]))


def search_across_cameras(
    name: str,
    root: str,
    images: Iterable[PersonImage],
    chosen: IdentitySplit,
    query_camera: int = 0,
) -> ReIDSplit:
    """The people to test on, as one camera saw them, searched in whatever the other one saw of nobody trained on.

    Args:
        name (str): Name of the split.
        root (str): The data set's folder.
        images (Iterable[PersonImage]): All images. Who is in neither half of ``chosen`` is a distractor.
        chosen (IdentitySplit): Whom to train and to test on.
        query_camera (int): Whose images are the queries, 0 or 1. Default: 0
    """
    images = tuple(images)
    train = set(chosen.train)
    gallery = tuple(
        image
        for image in images
        if image.camera == 1 - query_camera and image.identity not in train
    )
    query = of_identities(images, chosen.test, query_camera)
    return ReIDSplit(name, root, of_identities(images, train), query, gallery)
