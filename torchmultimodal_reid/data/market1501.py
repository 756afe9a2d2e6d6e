# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import re
from typing import List, Optional, Tuple

from torchmultimodal_reid.data.captions import join_captions, read_captions
from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

FOLDER = "Market-1501-v15.09.15"
PARTS = ("bounding_box_train", "query", "bounding_box_test")
EXTENSIONS = (".jpg", ".jpeg", ".png")
JUNK = -1  # detections of no use, which the official protocol ignores

# The camera is a single digit in this layout. Without the look-ahead, camera 10 would be read as camera 1.
NAME_PATTERN = re.compile(r"([-\d]+)_c(\d)(?!\d)")


def market1501(
    root: str,
    *,
    captions: Optional[str] = None,
    missing_captions: str = "error",
    name: str = "market1501",
) -> ReIDSplit:
    """Reads Market-1501 (Zheng et al., Scalable Person Re-identification, ICCV 2015), or anything in its layout.

    The layout is ``{bounding_box_train,query,bounding_box_test}/0002_c1s1_000551_01.jpg``: identity 2, camera 1.
    Identity -1 (junk) is dropped; identity 0 (distractors) stays in the gallery; cameras count from 0 here. Images
    come in the order of their names. No image is opened. Files that are not jpg, jpeg or png (the official archive has
    a ``Thumbs.db`` in each folder) and hidden files are no images of the data set.

    Args:
        root (str): The folder that holds the three, or one that holds ``Market-1501-v15.09.15``.
        captions (Optional[str]): A captions file, see ``read_captions``. Default: ``captions.json`` in the folder of
            the three, where it exists; otherwise the images have no captions.
        missing_captions (str): ``"error"`` or ``"allow"``, for images that the captions file leaves out.
            Default: ``"error"``
        name (str): Name of the split: data that is only laid out like Market-1501 should not be called by its name.
            Default: ``"market1501"``

    Returns:
        ReIDSplit: Identities are the data set's own numbers; see ``relabel_identities`` for training.

    Raises:
        DataError: If the root or one of the three folders is missing or has no images, a file's name does not parse,
            or the captions do not fit.
    """
    root = _find_root(root)
    train, query, gallery = (_read_folder(root, part) for part in PARTS)
    if captions is None:
        default = os.path.join(root, "captions.json")
        captions = default if os.path.isfile(default) else None
    if captions is not None:
        joined = join_captions(
            train + query + gallery, read_captions(captions), root, missing_captions
        )
        first, second = len(train), len(train) + len(query)
        train, query, gallery = joined[:first], joined[first:second], joined[second:]
    return ReIDSplit(name, root, train, query, gallery)


def _find_root(root: str) -> str:
    if not os.path.isdir(root):
        raise DataError(
            f"the data set's root {root!r} is not a folder; expected one that holds {', '.join(PARTS)}"
        )
    for folder in (root, os.path.join(root, FOLDER)):
        if any(os.path.isdir(os.path.join(folder, part)) for part in PARTS):
            missing = [p for p in PARTS if not os.path.isdir(os.path.join(folder, p))]
            if missing:
                raise DataError(
                    f"{folder}: folder {', '.join(missing)} is missing; expected {', '.join(PARTS)}"
                )
            return folder
    found = sorted(os.listdir(root))
    raise DataError(
        f"{root}: expected the folders {', '.join(PARTS)}, or a folder {FOLDER} that holds them; "
        f"found {listed(found) if found else 'nothing'}"
    )


def _read_folder(root: str, part: str) -> Tuple[PersonImage, ...]:
    folder = os.path.join(root, part)
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    images: List[PersonImage] = []
    for name in names:
        if not name.lower().endswith(EXTENSIONS):
            continue
        path = os.path.join(folder, name)
        identity, camera = _parse_name(path, name)
        if identity != JUNK:
            images.append(PersonImage(path, identity, camera))
    if not images:
        raise DataError(
            f"{folder}: no images; expected files such as 0002_c1s1_000551_01.jpg ({', '.join(EXTENSIONS)}) that are "
            f"not junk (identity -1), found {len(names)} other files"
        )
    return tuple(images)


def _parse_name(path: str, name: str) -> Tuple[int, int]:
    match = NAME_PATTERN.match(name)
    # "[-\d]+" also takes "--" and "1-2", which are no numbers
    if match is None or re.fullmatch(r"-?\d+", match[1]) is None or match[2] == "0":
        raise DataError(
            f"{path}: the name does not say identity and camera; expected "
            "<identity>_c<camera from 1 to 9>..., such as 0002_c1s1_000551_01.jpg"
        )
    return int(match[1]), int(match[2]) - 1
