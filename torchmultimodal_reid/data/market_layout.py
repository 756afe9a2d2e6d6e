# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The three folders of Market-1501, in which many data sets come."""

import os
import re
from typing import List, Sequence, Tuple

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.folders import find_root, image_names, printable
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

PARTS = ("bounding_box_train", "query", "bounding_box_test")
JUNK = -1  # detections of no use, which the official protocol ignores
DISTRACTOR = 0  # people, or parts of them, who are nobody's match

# The camera is a single digit in this layout. Without the look-ahead, camera 10 would be read as camera 1.
NAME_PATTERN = re.compile(r"([-0-9]+)_c([0-9])(?![0-9])")


def read_market_layout(
    name: str,
    root: str,
    *,
    folders: Sequence[str] = (),
    example: str = "0002_c1s1_000551_01.jpg",
) -> ReIDSplit:
    """Reads ``{bounding_box_train,query,bounding_box_test}/0002_c1s1_000551_01.jpg``: identity 2, camera 1.

    Junk (identity -1) is dropped, distractors (identity 0) stay; cameras count from 0 here. No image is opened.

    Args:
        name (str): Name of the split.
        root (str): The folder that holds the three, or one that holds one of ``folders``.
        folders (Sequence[str]): The folders to which the data set's archive unpacks. Default: none
        example (str): A file name of this data set, for messages.

    Raises:
        DataError: If a folder is missing or has no images, or a file's name does not parse.
    """
    root = find_root(root, PARTS, folders)
    train, query, gallery = (
        read_market_folder(os.path.join(root, part), example) for part in PARTS
    )
    return ReIDSplit(name, root, train, query, gallery)


def read_market_folder(
    folder: str, example: str = "0002_c1s1_000551_01.jpg"
) -> Tuple[PersonImage, ...]:
    """The images of one folder, in the order of their names, without junk."""
    images: List[PersonImage] = []
    names = image_names(folder, expected=example)
    for name in names:
        path = os.path.join(folder, name)
        identity, camera = parse_market_name(path, example)
        if identity != JUNK:
            images.append(PersonImage(path, identity, camera))
    if not images:
        raise DataError(
            f"{folder}: no images; expected files such as {example} that are not junk (identity -1), found "
            f"{len(names)} that are"
        )
    return tuple(images)


def parse_market_name(
    path: str, example: str = "0002_c1s1_000551_01.jpg"
) -> Tuple[int, int]:
    """Identity and camera (from 0) that a file's name tells."""
    match = NAME_PATTERN.match(os.path.basename(path))
    # "[-0-9]+" also takes "--" and "1-2", which are no numbers
    if match is None or re.fullmatch(r"-?[0-9]+", match[1]) is None or match[2] == "0":
        raise DataError(
            f"{printable(path)}: the name does not say identity and camera; expected "
            f"<identity>_c<camera from 1 to 9>..., such as {example}"
        )
    identity = int(match[1])
    if identity < JUNK:
        raise DataError(
            f"{printable(path)}: identity {identity}; expected -1 (junk), 0 (distractor) or a person's number"
        )
    return identity, int(match[2]) - 1
