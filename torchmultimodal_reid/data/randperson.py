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
from torchmultimodal_reid.data.folders import finish_split, printable, walk_images
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

EXAMPLE = "000000_s00_c00_f000264.jpg"
NAME_PATTERN = re.compile(r"([0-9]+)_s([0-9]+)_c([0-9]+)_f([0-9]+)\.")
CAMERAS_OF_SCENE = (2, 2, 2, 2, 1, 1, 2, 1, 1, 1, 4)  # 19 in 11 scenes


def randperson(
    root: str,
    *,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads RandPerson (Wang et al., https://arxiv.org/abs/2006.12774), rendered people, for training only.

    ``randperson_subset/000000_s00_c00_f000264.jpg``: identity, scene, camera within it and frame, all from 0. The 19
    cameras of the 11 scenes are numbered through, scene by scene, as in QAConv, the authors' code. The subset is flat;
    the full set's unpacked folders (``images/scene00/camera0_1/...``) are read however deep they lie, except those that
    are called ``delete_*``: its authors put broken pictures there. In memory an image takes about 250 bytes.

    Args:
        root (str): The folder of the images, at any depth.
        captions (Optional[str]): A captions file. Default: ``captions.json`` in the root, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: ``query`` and ``gallery`` are empty.

    Raises:
        DataError: If the root is missing or has no images, a name does not parse, a scene or camera is unknown, or the
            captions do not fit.
    """
    train: List[PersonImage] = []
    for path in walk_images(
        root, expected=EXAMPLE, leave_out=lambda name: name.startswith("delete_")
    ):
        identity, scene, camera = parse_scene_name(path)
        if scene >= len(CAMERAS_OF_SCENE) or camera >= CAMERAS_OF_SCENE[scene]:
            raise DataError(
                f"{printable(path)}: camera {camera} of scene {scene}; expected scenes 0 to "
                f"{len(CAMERAS_OF_SCENE) - 1} with {listed_cameras()} cameras"
            )
        camera += sum(CAMERAS_OF_SCENE[:scene])
        train.append(PersonImage(path, identity, camera))
    split = ReIDSplit("randperson", root, tuple(train), (), ())
    return finish_split(split, captions, missing_captions)


def listed_cameras() -> str:
    """The numbers of cameras of the scenes, for messages."""
    return ", ".join(str(number) for number in CAMERAS_OF_SCENE)


def parse_scene_name(path: str, example: str = EXAMPLE) -> Tuple[int, int, int]:
    """Identity, scene and camera within the scene, all from 0, that a file's name tells."""
    match = NAME_PATTERN.match(os.path.basename(path))
    if match is None:
        raise DataError(
            f"{printable(path)}: the name does not say identity, scene, camera and frame; expected one such as "
            f"{example}"
        )
    return int(match[1]), int(match[2]), int(match[3])


INFO = DatasetInfo(
    name="randperson",
    title="RandPerson",
    reader=randperson,
    paper="https://arxiv.org/abs/2006.12774",
    layout=f"`randperson_subset/{EXAMPLE}` (identity, scene, camera, frame), or the full set's folders",
    access="Apache-2.0 (its repository)",
    source="https://github.com/VideoObjectSearch/RandPerson",
    counts={"train": PartCounts(8000, 132145, 19)},
    kind="synthetic",
    note="training only; counts of the subset, the full set has 1,801,816 images",
)
