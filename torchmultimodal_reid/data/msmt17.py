# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
from typing import Dict, List, NamedTuple, Optional, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.folders import (
    finish_split,
    PresentFiles,
    printable,
    read_lines,
)
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.text_file import shown

LISTS = ("list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt")
LINE = "<path> <identity>, such as 0000/0000_000_01_0303morning_0015_0.jpg 0"
TEST_OFFSET = 10_000  # the lists count test people from 0 again


class _Version(NamedTuple):
    folder: str
    train: str
    test: str


VERSIONS = (
    _Version("MSMT17_V1", "train", "test"),
    _Version("MSMT17_V2", "mask_train_v2", "mask_test_v2"),
)


def msmt17(
    root: str,
    *,
    include_val: bool = True,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads MSMT17 (Wei et al., Person Transfer GAN, CVPR 2018; https://arxiv.org/abs/1711.08565), version 1 or 2.

    Version 1 has the folders ``train`` and ``test``; version 2, whose faces are blurred, ``mask_train_v2`` and
    ``mask_test_v2``. Both have ``list_{train,val,query,gallery}.txt`` with lines of path and identity; the camera, 1
    to 15, is the third field of the path between underscores. The lists count the people of the test folder from 0
    again; 10,000 is added to their numbers here, because they are others than those of the train folder.

    Sources disagree on ``list_val.txt``: TransReID and QAConv train on it, torchreid and fast-reid do not unless told.
    The published 32,621 training images are those with it, which is the default here.

    Args:
        root (str): The folder of the lists, or one that holds ``MSMT17_V1`` or ``MSMT17_V2``, not both.
        include_val (bool): Whether the images of ``list_val.txt`` are training images too. Default: ``True``
        captions (Optional[str]): A captions file. Default: ``captions.json`` beside the lists, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Called ``msmt17_v1`` or ``msmt17_v2``.

    Raises:
        DataError: If a folder or a list is missing, a line does not parse or names an image that is not there or that
            another line names, or the captions do not fit.
    """
    root, version = _find_version(root)
    present = PresentFiles()
    parts: Dict[str, Tuple[PersonImage, ...]] = {}
    for name in LISTS:
        is_train = name in LISTS[:2]
        folder = os.path.join(root, version.train if is_train else version.test)
        path = os.path.join(root, name)
        parts[name] = _read_list(path, folder, 0 if is_train else TEST_OFFSET, present)
    train, val, query, gallery = (parts[name] for name in LISTS)
    split = ReIDSplit(
        version.folder.lower(),
        root,
        train + val if include_val else train,
        query,
        gallery,
    )
    return finish_split(split, captions, missing_captions)


def _find_version(root: str) -> Tuple[str, _Version]:
    if not os.path.isdir(root):
        raise DataError(
            f"the data set's root {printable(root)!r} is not a folder; expected one that holds {', '.join(LISTS)}"
        )
    found = []
    for version in VERSIONS:
        for folder in (root, os.path.join(root, version.folder)):
            if all(os.path.isdir(os.path.join(folder, p)) for p in version[1:]):
                found.append((folder, version))
    if len(found) > 1:
        raise DataError(
            f"{root}: holds {listed([os.path.join(f, v.train) for f, v in found])}; give the folder of one version"
        )
    if not found:
        names = [printable(name) for name in sorted(os.listdir(root))]
        raise DataError(
            f"{root}: expected the folders train and test (version 1) or mask_train_v2 and mask_test_v2 (version 2), "
            f"or a folder MSMT17_V1 or MSMT17_V2 that holds them; found {listed(names) if names else 'nothing'}"
        )
    return found[0]


def _read_list(
    path: str, folder: str, offset: int, present: PresentFiles
) -> Tuple[PersonImage, ...]:
    images: List[PersonImage] = []
    lines: Dict[str, int] = {}
    for number, line in read_lines(path, LINE):
        where = f"{path}: line {number}"
        fields = line.rsplit(None, 1)
        if len(fields) != 2 or not (fields[1].isascii() and fields[1].isdecimal()):
            raise DataError(f"{where}: {shown(line)} does not parse; expected {LINE}")
        # int() takes a few thousand digits and no more
        name, digits = fields[0], fields[1].lstrip("0") or "0"
        if len(digits) > 9 or int(digits) >= TEST_OFFSET:
            raise DataError(
                f"{where}: identity {shown(digits)} in {shown(line)}; expected less than {TEST_OFFSET}"
            )
        identity = int(digits)
        parts = name.split("_")
        if len(parts) < 3 or not (parts[2].isascii() and parts[2].isdecimal()):
            raise DataError(
                f"{where}: the path {shown(name)} does not tell the camera in its third field; expected {LINE}"
            )
        if int(parts[2]) == 0:
            raise DataError(f"{where}: camera 0 in {shown(name)}; expected 1 or more")
        if name in lines:
            raise DataError(
                f"{where}: {shown(name)} is on line {lines[name]} already; expected every image once"
            )
        lines[name] = number
        image = os.path.join(folder, *name.split("/"))
        if image not in present:
            raise DataError(
                f"{where}: no image {shown(name)} in {folder}; put it back or get the data set again"
            )
        images.append(PersonImage(image, identity + offset, int(parts[2]) - 1))
    return tuple(images)


INFO = DatasetInfo(
    name="msmt17",
    title="MSMT17 (v1, v2)",
    reader=msmt17,
    paper="https://arxiv.org/abs/1711.08565",
    layout="`MSMT17_V1/{train,test}` or `MSMT17_V2/{mask_train_v2,mask_test_v2}`, `list_{train,val,query,gallery}.txt` "
    "with `0000/0000_000_01_0303morning_0015_0.jpg 0`",
    access="on request; terms on its page",
    source="https://www.pkuvmc.com/dataset.html",
    counts={
        "train": PartCounts(1041, 32621, 15),
        "query": PartCounts(3060, 11659, 15),
        "gallery": PartCounts(3060, 82161, 15),
    },
    note="`list_val.txt` is in the training part unless `include_val=False` (30,248 images)",
)
