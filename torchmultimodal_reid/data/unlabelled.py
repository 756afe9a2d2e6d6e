# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
from typing import List, Optional

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.folders import EXTENSIONS, finish_split, walk_images
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

IDENTITIES = ("image", "folder")


def unlabelled(
    root: str,
    *,
    identities: str = "image",
    captions: Optional[str] = None,
    missing_captions: str = "error",
    name: str = "unlabelled",
) -> ReIDSplit:
    """Reads a folder of person images without labels, such as LUPerson (https://arxiv.org/abs/2012.03753), to pretrain.

    Every jpg, jpeg and png in the folder and below it, in the order of folders and names. In memory an image takes
    about 250 bytes: LUPerson's 4 million 1 GB. Stream larger sets from shards.

    Args:
        root (str): The folder.
        identities (str): ``"image"``: each image is a person of its own, numbered from 0 in order, so that no loss
            takes two for the same. ``"folder"``: those in one folder are one person (noisy labels from tracks).
            Default: ``"image"``
        captions (Optional[str]): A captions file. Default: ``captions.json`` in the root, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``
        name (str): Name of the split. Default: ``"unlabelled"``

    Returns:
        ReIDSplit: ``query`` and ``gallery`` are empty; the camera is 0.

    Raises:
        ValueError: If ``identities`` is unknown.
        DataError: If the root is missing, there are no images, images lie in the root itself although folders are the
            people, or the captions do not fit.
    """
    if identities not in IDENTITIES:
        raise ValueError(f"identities must be 'image' or 'folder', got {identities!r}")
    train: List[PersonImage] = []
    last, folder_number = "", -1
    for number, path in enumerate(walk_images(root, expected="0000001.jpg")):
        if identities == "folder":
            folder = os.path.dirname(path)
            if folder == root.rstrip(os.sep):
                raise DataError(
                    f"{path}: an image beside the folders, but identities='folder'; expected each person's images "
                    f"({', '.join(EXTENSIONS)}) in a folder of their own"
                )
            if folder != last:
                last, folder_number = folder, folder_number + 1
            number = folder_number
        train.append(PersonImage(path, number, 0))
    split = ReIDSplit(name, root, tuple(train), (), ())
    return finish_split(split, captions, missing_captions)


INFO = DatasetInfo(
    name="unlabelled",
    title="Unlabelled folders (LUPerson)",
    reader=unlabelled,
    paper="https://arxiv.org/abs/2012.03753",
    layout="any folders of jpg, jpeg or png",
    access="LUPerson: research only",
    source="https://github.com/DengpanFu/LUPerson",
    counts={"train": PartCounts(None, 4180243, None)},
    kind="unlabelled",
    note='training only; every image is an identity of its own unless `identities="folder"`',
)
