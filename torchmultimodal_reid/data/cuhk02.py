# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import re
from typing import List, Optional, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.folders import (
    find_root,
    finish_split,
    image_names,
    printable,
)
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

PAIRS = ("P1", "P2", "P3", "P4", "P5")
TEST_PAIR = 5
EXAMPLE = "001_0001.png"
NAME_PATTERN = re.compile(r"([0-9]{1,4})[_.]")
PAIR = 10_000  # person 7 of P2 is identity 20007


def cuhk02(
    root: str,
    *,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads CUHK02 (Li and Wang, Locally Aligned Feature Transforms across Views, CVPR 2013).

    ``Dataset/P1/cam1/*.png`` to ``P5/cam2``: five pairs of cameras, two images of a person from each; a name begins
    with the person's number within the pair. As in torchreid, P1 to P4 are for training, and P5 is tested: search from
    its first camera in its second. Papers on domain generalisation train on all five pairs: the three parts together.

    Args:
        root (str): The folder that holds ``P1`` to ``P5``, or one that holds ``Dataset``.
        captions (Optional[str]): A captions file. Default: ``captions.json`` in the root, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Identities are 10,000 times the pair plus the person's number; cameras are 0 to 9.

    Raises:
        DataError: If a folder is missing or has no images, a name does not parse, or the captions do not fit.
    """
    root = find_root(
        root,
        PAIRS,
        (
            "Dataset",
            os.path.join("CUHK02", "Dataset"),
            os.path.join("cuhk02", "Dataset"),
        ),
    )
    train: Tuple[PersonImage, ...] = ()
    for pair in range(1, TEST_PAIR):
        train += _read_camera(root, pair, 1) + _read_camera(root, pair, 2)
    split = ReIDSplit(
        "cuhk02",
        root,
        train,
        _read_camera(root, TEST_PAIR, 1),
        _read_camera(root, TEST_PAIR, 2),
    )
    return finish_split(split, captions, missing_captions)


def _read_camera(root: str, pair: int, camera: int) -> Tuple[PersonImage, ...]:
    folder = os.path.join(root, f"P{pair}", f"cam{camera}")
    images: List[PersonImage] = []
    for name in image_names(folder, expected=EXAMPLE):
        path = os.path.join(folder, name)
        match = NAME_PATTERN.match(name)
        if match is None:
            raise DataError(
                f"{printable(path)}: the name does not begin with the person's number; expected one such as {EXAMPLE}"
            )
        identity = pair * PAIR + int(match[1])
        images.append(PersonImage(path, identity, 2 * (pair - 1) + camera - 1))
    return tuple(images)


INFO = DatasetInfo(
    name="cuhk02",
    title="CUHK02",
    reader=cuhk02,
    paper="https://doi.org/10.1109/CVPR.2013.461",
    layout="`Dataset/{P1..P5}/{cam1,cam2}/*.png`, names begin with the person's number",
    access="terms on its page",
    source="https://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html",
    counts={
        "train": PartCounts(1577, 6308, 8),
        "query": PartCounts(239, 478, 1),
        "gallery": PartCounts(239, 478, 1),
        "all": PartCounts(1816, 7264, 10),
    },
    note="P5 is tested; domain generalisation trains on all three parts together",
)
