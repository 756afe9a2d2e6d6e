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
from torchmultimodal_reid.data.folders import (
    find_root,
    finish_split,
    image_names,
    printable,
)
from torchmultimodal_reid.data.half_splits import (
    choose_split,
    given_split,
    IdentitySplit,
    of_identities,
)
from torchmultimodal_reid.data.market_layout import DISTRACTOR
from torchmultimodal_reid.data.matlab import load_mat, whole_numbers
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

FOLDERS = ("probe", "gallery")
PARTITIONS = "features_and_partitions.mat"
EXAMPLE = "0001_1_25004_107_32_106_221.jpeg"
NAME_PATTERN = re.compile(r"([0-9]+)_([0-9]+)_")


def grid(
    root: str,
    *,
    split: int = 0,
    split_seed: Optional[int] = None,
    train_identities: Optional[Collection[int]] = None,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads QMUL underground re-identification, GRID (Loy et al., Multi-camera activity correlation analysis, CVPR
    2009; https://doi.org/10.1109/CVPR.2009.5206827).

    ``{probe,gallery}/0001_1_25004_107_32_106_221.jpeg``: identity, camera 1 to 8, and where it was cut out. 250 people
    are in both folders; the gallery has 775 more images of identity 0, which are distractors. The protocol is the
    average over the 10 partitions in ``features_and_partitions.mat``, 125 people to train on; the test gallery has the
    other 125 and all distractors.

    Args:
        root (str): The folder that holds ``probe`` and ``gallery``, or one that holds ``underground_reid``.
        split (int): Which partition, 0 to 9 in the published file. Default: 0
        split_seed (Optional[int]): Draws random halves from this seed instead, see ``half_split``. Default: the
            published partitions, which needs scipy
        train_identities (Optional[Collection[int]]): The identities to train on, instead of either.
        captions (Optional[str]): A captions file. Default: ``captions.json`` in the root, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Identities are the numbers in the file names. The published partitions are read as peers read them:
        the third field of each element of ``trainIdxAll`` holds the identities to train on.

    Raises:
        DataError: If a folder is missing or has no images, a name does not parse, the partitions are missing or
            broken or have no such split, or the captions do not fit.
    """
    root, probe, gallery = grid_images(root)
    people = {image.identity for image in probe}
    if train_identities is None and split_seed is None:
        chosen = _published(os.path.join(root, PARTITIONS), people, split)
    else:
        chosen = choose_split(
            people,
            split=split,
            split_seed=split_seed or 0,
            train_identities=train_identities,
        )
    result = ReIDSplit(
        "grid",
        root,
        of_identities(probe + gallery, chosen.train),
        of_identities(probe, chosen.test),
        of_identities(gallery, (*chosen.test, DISTRACTOR)),
    )
    return finish_split(result, captions, missing_captions)


def grid_images(
    root: str,
) -> Tuple[str, Tuple[PersonImage, ...], Tuple[PersonImage, ...]]:
    """All images of GRID, for whoever draws the splits.

    Args:
        root (str): As in ``grid``.

    Returns:
        Tuple[str, Tuple[PersonImage, ...], Tuple[PersonImage, ...]]: The folder of ``probe`` and ``gallery``, and the
        images of each.
    """
    root = find_root(root, FOLDERS, ("underground_reid", "GRID"))
    probe, gallery = (_read_folder(os.path.join(root, name)) for name in FOLDERS)
    people = {image.identity for image in probe}
    if DISTRACTOR in people:
        raise DataError(
            f"{os.path.join(root, 'probe')}: identity 0, a distractor, among the probes"
        )
    unknown = {image.identity for image in gallery} - people - {DISTRACTOR}
    missing = people - {image.identity for image in gallery}
    if unknown or missing:
        raise DataError(
            f"{root}: identity {min(unknown | missing)} is in only one of probe and gallery; expected everybody but "
            "the distractors (identity 0) in both"
        )
    return root, probe, gallery


def _read_folder(folder: str) -> Tuple[PersonImage, ...]:
    images: List[PersonImage] = []
    for name in image_names(folder, expected=EXAMPLE):
        path = os.path.join(folder, name)
        match = NAME_PATTERN.match(name)
        if match is None or int(match[2]) == 0:
            raise DataError(
                f"{printable(path)}: the name does not say identity and camera (from 1); expected one such as {EXAMPLE}"
            )
        images.append(PersonImage(path, int(match[1]), int(match[2]) - 1))
    return tuple(images)


def _published(path: str, people: Collection[int], split: int) -> IdentitySplit:
    if not os.path.isfile(path):
        raise DataError(
            f"{path}: the published partitions are missing; put the file back, or draw random halves with split_seed=0"
        )
    partitions = load_mat(path, ["trainIdxAll"])["trainIdxAll"].flatten()
    if not 0 <= split < len(partitions):
        raise DataError(
            f"{path}: no partition {split}; expected 0 to {len(partitions) - 1}"
        )
    name = f"trainIdxAll[{split}]"
    try:
        record = partitions[split].flatten()[0]
        values = record[2]
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: variable {name} must be a structure whose third field holds the identities to train on, got "
            f"{type(partitions[split]).__name__}"
        ) from error
    train = whole_numbers(path, name, values)
    return given_split(people, train, f"{path}: {name}")


INFO = DatasetInfo(
    name="grid",
    title="QMUL underground (GRID)",
    reader=grid,
    paper="https://doi.org/10.1109/CVPR.2009.5206827",
    layout=f"`underground_reid/{{probe,gallery}}/{EXAMPLE}`, `{PARTITIONS}`",
    access="terms on its page",
    source="http://personal.ie.cuhk.edu.hk/~ccloy/downloads_qmul_underground_reid.html",
    counts={
        "train": PartCounts(125, 250, None),
        "query": PartCounts(125, 125, None),
        "gallery": PartCounts(125, 900, None),
    },
    note="8 cameras; average of 10 published partitions: `split` 0 to 9; scipy reads them",
)
