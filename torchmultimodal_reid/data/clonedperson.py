# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
from typing import List, Optional, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.folders import (
    find_root,
    finish_split,
    image_names,
    printable,
)
from torchmultimodal_reid.data.randperson import parse_scene_name
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

EXAMPLE = "700000_s02_c00_f023389.jpg"
PARTS = ("train", os.path.join("test", "query"), os.path.join("test", "gallery"))
CAMERAS = ("official", "scene")
CAMERAS_A_SCENE = 4


def clonedperson(
    root: str,
    *,
    cameras: str = "official",
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads ClonedPerson (Wang et al., https://arxiv.org/abs/2204.02611), rendered people in cloned clothes.

    ``{train,test/query,test/gallery}/700000_s02_c00_f023389.jpg``: identity, scene, camera 0 to 3 within it, frame.
    The authors' loader leaves the scene out, so that cameras of different scenes are one: published results drop more
    gallery images than those of the query's own camera. It is followed here; ``cameras="scene"`` tells scenes apart.
    In memory an image takes about 250 bytes, the set 0.2 GB.

    Args:
        root (str): The folder that holds ``train`` and ``test``, or one that holds ``clonedperson``.
        cameras (str): ``"official"`` (4 cameras) or ``"scene"`` (4 times the scene plus the camera).
            Default: ``"official"``
        captions (Optional[str]): A captions file. Default: ``captions.json`` in the root, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Identities are the numbers in the file names.

    Raises:
        ValueError: If ``cameras`` is unknown.
        DataError: If a folder is missing or has no images, a name does not parse, or the captions do not fit.
    """
    if cameras not in CAMERAS:
        raise ValueError(f"cameras must be 'official' or 'scene', got {cameras!r}")
    root = find_root(root, PARTS, ("clonedperson", "ClonedPerson"))
    train, query, gallery = (
        _read_folder(os.path.join(root, part), cameras == "scene") for part in PARTS
    )
    split = ReIDSplit("clonedperson", root, train, query, gallery)
    return finish_split(split, captions, missing_captions)


def _read_folder(folder: str, by_scene: bool) -> Tuple[PersonImage, ...]:
    images: List[PersonImage] = []
    for name in image_names(folder, expected=EXAMPLE):
        path = os.path.join(folder, name)
        identity, scene, camera = parse_scene_name(path, EXAMPLE)
        if camera >= CAMERAS_A_SCENE:
            raise DataError(
                f"{printable(path)}: camera {camera}; expected 0 to {CAMERAS_A_SCENE - 1}"
            )
        if by_scene:
            camera += CAMERAS_A_SCENE * scene
        images.append(PersonImage(path, identity, camera))
    return tuple(images)


INFO = DatasetInfo(
    name="clonedperson",
    title="ClonedPerson",
    reader=clonedperson,
    paper="https://arxiv.org/abs/2204.02611",
    layout=f"`{{train,test/query,test/gallery}}/{EXAMPLE}` (identity, scene, camera, frame)",
    access="no licence named",
    source="https://github.com/Yanan-Wang-cs/ClonedPerson",
    counts={
        "train": PartCounts(4806, 763953, 4),
        "all": PartCounts(5621, 887766, None),
    },
    kind="synthetic",
    note='the authors\' loader leaves the scene out of the camera: 4 cameras; `cameras="scene"` has all 24',
)
