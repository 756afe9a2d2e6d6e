# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import re
from typing import Collection, List, Optional, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.folders import find_root, finish_split, image_names
from torchmultimodal_reid.data.half_splits import (
    choose_split,
    given_split,
    IdentitySplit,
)
from torchmultimodal_reid.data.matlab import load_mat, whole_numbers
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.two_cameras import in_both_cameras, search_across_cameras

CAMERAS = (os.path.join("images", "cam1"), os.path.join("images", "cam2"))
SPLITS = os.path.join("train-test people splits", "train_test_splits_ilidsvid.mat")
EXAMPLE = "person001/cam1_person001.png"
FOLDER_PATTERN = re.compile(r"person([0-9]+)")


def ilids_vid(
    root: str,
    *,
    split: int = 0,
    split_seed: Optional[int] = None,
    train_identities: Optional[Collection[int]] = None,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads the still images of iLIDS-VID (Wang et al., Person Re-Identification by Video Ranking, ECCV 2014;
    https://doi.org/10.1007/978-3-319-10593-2_45).

    ``i-LIDS-VID/images/cam1/person001/cam1_person001.png``: 300 people, one still of each from two cameras. The
    protocol is the average over the 10 published splits in ``train_test_splits_ilidsvid.mat``: 150 people to train
    on, the others searched from camera 1 in camera 2. The file's numbers count the folders of the people in order of
    their names; in each of its rows the first half is for testing.

    Args:
        root (str): The folder that holds ``images``, or one that holds ``i-LIDS-VID``.
        split (int): Which split, 0 to 9 in the published file. Default: 0
        split_seed (Optional[int]): Draws random halves from this seed instead, see ``half_split``. Default: the
            published splits, which needs scipy
        train_identities (Optional[Collection[int]]): The identities to train on, instead of either.
        captions (Optional[str]): A captions file. Default: ``captions.json`` beside ``images``, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Identities are the numbers of the folders, which are not contiguous.

    Raises:
        DataError: If a folder is missing or has no images, a name does not parse, a person is missing from a camera,
            the splits are missing or broken or have no such split, or the captions do not fit.
    """
    given = root
    root, images = ilids_vid_images(root)
    people = in_both_cameras(images, root)
    if train_identities is None and split_seed is None:
        chosen = _published((given, root, os.path.dirname(root)), people, split)
    else:
        chosen = choose_split(
            people,
            split=split,
            split_seed=split_seed or 0,
            train_identities=train_identities,
        )
    result = search_across_cameras("ilids_vid", root, images, chosen)
    return finish_split(result, captions, missing_captions)


def ilids_vid_images(root: str) -> Tuple[str, Tuple[PersonImage, ...]]:
    """All stills of iLIDS-VID, for whoever draws the splits.

    Args:
        root (str): As in ``ilids_vid``.

    Returns:
        Tuple[str, Tuple[PersonImage, ...]]: The folder of ``images``, and the stills of both cameras.
    """
    root = find_root(root, CAMERAS, ("i-LIDS-VID",))
    images: List[PersonImage] = []
    for camera, folder in enumerate(CAMERAS):
        place = os.path.join(root, folder)
        people = sorted(name for name in os.listdir(place) if not name.startswith("."))
        if not people:
            raise DataError(f"{place}: no images; expected files such as {EXAMPLE}")
        for person in people:
            match = FOLDER_PATTERN.fullmatch(person)
            if match is None:
                raise DataError(
                    f"{os.path.join(place, person)}: expected a folder for each person, such as person001"
                )
            for name in image_names(os.path.join(place, person), expected=EXAMPLE):
                path = os.path.join(place, person, name)
                images.append(PersonImage(path, int(match[1]), camera))
    return root, tuple(images)


def _published(
    places: Collection[str], people: Tuple[int, ...], split: int
) -> IdentitySplit:
    paths = [os.path.join(place, SPLITS) for place in places]
    path = next((path for path in paths if os.path.isfile(path)), None)
    if path is None:
        raise DataError(
            f"{paths[0]}: the published splits are missing; put the file there, or draw random halves with split_seed=0"
        )
    rows = load_mat(path, ["ls_set"])["ls_set"]
    if rows.ndim != 2 or rows.shape[1] != len(people):
        raise DataError(
            f"{path}: variable ls_set must have a row for each split and a column for each of the {len(people)} "
            f"people, got the shape {rows.shape}"
        )
    if not 0 <= split < len(rows):
        raise DataError(f"{path}: no split {split}; expected 0 to {len(rows) - 1}")
    numbers = whole_numbers(path, "ls_set", rows[split])
    if sorted(numbers) != list(range(1, len(people) + 1)):
        raise DataError(
            f"{path}: row {split} of ls_set must hold each number from 1 to {len(people)} once"
        )
    # the first half of a row is for testing
    train = [people[number - 1] for number in numbers[len(people) // 2 :]]
    return given_split(people, train, f"{path}: row {split}")


INFO = DatasetInfo(
    name="ilids_vid",
    title="iLIDS-VID (stills)",
    reader=ilids_vid,
    paper="https://doi.org/10.1007/978-3-319-10593-2_45",
    layout=f"`i-LIDS-VID/images/cam1/{EXAMPLE}`, `{SPLITS}`",
    access="terms on its page",
    source="https://xiatian-zhu.github.io/downloads_qmul_iLIDS-VID_ReID_dataset.html",
    counts={
        "train": PartCounts(150, 300, 2),
        "query": PartCounts(150, 150, 1),
        "gallery": PartCounts(150, 150, 1),
    },
    note="average of 10 published splits: `split` 0 to 9; scipy reads them",
)
