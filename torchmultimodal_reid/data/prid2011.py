# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import re
from typing import Collection, Optional, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.folders import find_root, finish_split
from torchmultimodal_reid.data.half_splits import choose_split
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.two_cameras import (
    CAMERAS,
    in_both_cameras,
    read_camera_folders,
    search_across_cameras,
)

EXAMPLE = "person_0001.png"
NAME_PATTERN = re.compile(r"person_([0-9]+)\.")
LAST_SHARED = 200  # people 1 to 200 were seen by both cameras
ONLY_IN_A = 1000  # added to the numbers of those whom only camera a saw


def prid2011(
    root: str,
    *,
    split: int = 0,
    split_seed: int = 0,
    train_identities: Optional[Collection[int]] = None,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads the single-shot version of PRID 2011 (Hirzer et al., Person Re-Identification by Descriptive and
    Discriminative Classification, SCIA 2011; https://doi.org/10.1007/978-3-642-21227-7_9).

    ``single_shot/{cam_a,cam_b}/person_0001.png``: 385 people from camera a, 749 from camera b; only 1 to 200 are the
    same people in both. The protocol is the average over 10 random splits: train on 100 of the 200, search for the
    other 100 from camera a among all that remain of camera b (100 and 549 distractors). Camera a's people 201 to 385
    are used nowhere, as in all peers. No file of the splits was published with the data; they are drawn from a seed,
    see ``half_split``.

    Args:
        root (str): The folder that holds ``cam_a`` and ``cam_b``, or one that holds ``single_shot``,
            ``prid_2011/single_shot`` or ``prid_2011``'s parent.
        split (int): Which random split, usually 0 to 9. Default: 0
        split_seed (int): Seed of the splits. Default: 0
        train_identities (Optional[Collection[int]]): The identities (1 to 200) to train on, instead of a random half.
        captions (Optional[str]): A captions file. Default: ``captions.json`` in the folder of ``cam_a``, if it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Identities are the numbers in the file names.

    Raises:
        DataError: If a folder is missing or has no images, a name does not parse, one of the people 1 to 200 is missing
            from a camera, or the captions do not fit.
    """
    root, images = prid2011_images(root)
    shared = [image for image in images if image.identity <= LAST_SHARED]
    chosen = choose_split(
        in_both_cameras(shared, root),
        split=split,
        split_seed=split_seed,
        train_identities=train_identities,
    )
    result = search_across_cameras("prid2011", root, images, chosen)
    return finish_split(result, captions, missing_captions)


def prid2011_images(root: str) -> Tuple[str, Tuple[PersonImage, ...]]:
    """All images of the single-shot version, for whoever draws the splits or trains on everything.

    Args:
        root (str): As in ``prid2011``.

    Returns:
        Tuple[str, Tuple[PersonImage, ...]]: The folder of ``cam_a`` and ``cam_b``, and the images of both. Numbers
        above 200 mean other people in camera a than in camera b, so camera a's are counted from 1201 here.
    """
    places = (
        "single_shot",
        os.path.join("prid_2011", "single_shot"),
        os.path.join("prid2011", "prid_2011", "single_shot"),
    )
    root = find_root(root, CAMERAS, places)
    expected = f"the identity (only the single-shot version is read); expected one such as {EXAMPLE}"
    images = read_camera_folders(root, NAME_PATTERN, expected)
    return root, tuple(
        (
            image._replace(identity=image.identity + ONLY_IN_A)
            if image.camera == 0 and image.identity > LAST_SHARED
            else image
        )
        for image in images
    )


INFO = DatasetInfo(
    name="prid2011",
    title="PRID 2011 (single-shot)",
    reader=prid2011,
    paper="https://doi.org/10.1007/978-3-642-21227-7_9",
    layout="`prid_2011/single_shot/{cam_a,cam_b}/person_0001.png`; 1 to 200 are in both",
    access="terms on its page",
    source="https://www.tugraz.at/institute/icg/research/team-bischof/lrs/downloads/PRID11/",
    counts={
        "train": PartCounts(100, 200, 2),
        "query": PartCounts(100, 100, 1),
        "gallery": PartCounts(649, 649, 1),
    },
    note="average of 10 random splits: `split` 0 to 9, `split_seed`",
)
