# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import re
from typing import Dict, List, Optional, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.folders import (
    find_root,
    finish_split,
    image_names,
    printable,
)
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

EXAMPLE = "p11422_s16929_1.jpg"
NAME_PATTERN = re.compile(r"p([0-9]+)(?:_n[0-9]+)?_s([0-9]+)_")
CAMERAS = ("one", "scene")
FOLDERS = ("cropped_images", "cropped_image")


def cuhk_sysu(
    root: str,
    *,
    cameras: str = "one",
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads the cropped people of CUHK-SYSU (Xiao et al., https://arxiv.org/abs/1604.01850), for training only.

    ``cropped_images/p11422_s16929_1.jpg``: identity 11422 in scene 16929. Crops named ``p00001_n01_s00001_hard0.png``,
    which domain generalisation's codes make, are read too. The photographs come from moving cameras and films, so there
    is no camera. torchreid and fast-reid give all images one camera, which is followed here; MetaBIN takes the scene.

    Args:
        root (str): The folder of the crops, or one that holds ``cropped_images`` or ``cropped_image``.
        cameras (str): ``"one"`` (camera 0 for all) or ``"scene"`` (scenes numbered from 0 in their order).
            Default: ``"one"``
        captions (Optional[str]): A captions file. Default: ``captions.json`` beside the crops, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: ``query`` and ``gallery`` are empty.

    Raises:
        ValueError: If ``cameras`` is unknown.
        DataError: If the root is missing or has no images, a name does not parse, or the captions do not fit.
    """
    if cameras not in CAMERAS:
        raise ValueError(f"cameras must be 'one' or 'scene', got {cameras!r}")
    if os.path.isdir(root):
        places = [os.path.join(root, folder) for folder in FOLDERS]
        root = next((place for place in places if os.path.isdir(place)), root)
    else:
        find_root(root, FOLDERS[:1])
    parsed: List[Tuple[str, int, int]] = []
    for name in image_names(root, expected=EXAMPLE):
        path = os.path.join(root, name)
        match = NAME_PATTERN.match(name)
        if match is None:
            raise DataError(
                f"{printable(path)}: the name does not say identity and scene; expected one such as {EXAMPLE}"
            )
        parsed.append((path, int(match[1]), int(match[2])))
    camera: Dict[int, int] = {}
    for scene in sorted({fields[2] for fields in parsed}):
        camera[scene] = len(camera) if cameras == "scene" else 0
    train = tuple(PersonImage(path, i, camera[scene]) for path, i, scene in parsed)
    split = ReIDSplit("cuhk_sysu", root, train, (), ())
    return finish_split(split, captions, missing_captions)


INFO = DatasetInfo(
    name="cuhk_sysu",
    title="CUHK-SYSU (crops)",
    reader=cuhk_sysu,
    paper="https://arxiv.org/abs/1604.01850",
    layout=f"`cropped_images/{EXAMPLE}` or `p00001_n01_s00001_hard0.png` (identity, scene)",
    access="terms on its page",
    source="http://www.ee.cuhk.edu.hk/~xgwang/PS/dataset.html, cropped by torchreid's authors (its `datasets` page)",
    counts={"train": PartCounts(11934, 34574, 1)},
    note='training only; no cameras (`cameras="scene"` takes scenes)',
)
