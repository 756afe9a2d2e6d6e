# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
from typing import Optional, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.folders import find_root, finish_split, image_names
from torchmultimodal_reid.data.market_layout import (
    DISTRACTOR,
    JUNK,
    parse_market_name,
    PARTS,
    read_market_folder,
    read_market_layout,
)
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

FOLDER = "Market-1501-v15.09.15"


def market1501(
    root: str,
    *,
    captions: Optional[str] = None,
    missing_captions: str = "error",
    name: str = "market1501",
    distractors_500k: Optional[str] = None,
    train_only: bool = False,
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
        distractors_500k (Optional[str]): Folder of the 500,000 further distractors, which are added to the gallery
            (their archive unpacks to ``images``), absolute or relative to the folder of the three. Their identity must
            be 0, or -1 for junk, which is dropped here too. Default: none
        train_only (bool): Read the training part alone: query and gallery are empty, and their folders may be too, or
            missing. Default: False

    Returns:
        ReIDSplit: Identities are the data set's own numbers; see ``relabel_identities`` for training.

    Raises:
        DataError: If the root or one of the three folders is missing or has no images, a file's name does not parse,
            a distractor has a person's number, or the captions do not fit.
    """
    if train_only:
        if distractors_500k is not None:
            raise DataError(
                f"distractors_500k is {distractors_500k!r} and train_only is true: distractors are for the gallery, "
                "which is not read then; leave one of the two out"
            )
        root = find_root(root, PARTS[:1], (FOLDER,))
        train = read_market_folder(os.path.join(root, PARTS[0]))
        split = ReIDSplit(name, root, train, (), ())
    else:
        split = read_market_layout(name, root, folders=(FOLDER,))
    if distractors_500k is not None:
        extra = _read_distractors(os.path.join(split.root, distractors_500k))
        split = split._replace(gallery=split.gallery + extra)
    return finish_split(split, captions, missing_captions)


def _read_distractors(folder: str) -> Tuple[PersonImage, ...]:
    images = []
    for file in image_names(folder, expected="0000_c1s1_000151_01.jpg"):
        path = os.path.join(folder, file)
        identity, camera = parse_market_name(path)
        if identity not in (DISTRACTOR, JUNK):
            raise DataError(
                f"{path}: identity {identity} among the distractors; expected 0, or -1 for junk. Is this the folder of "
                "the 500k distractors?"
            )
        if identity == DISTRACTOR:
            images.append(PersonImage(path, identity, camera))
    return tuple(images)


INFO = DatasetInfo(
    name="market1501",
    title="Market-1501",
    reader=market1501,
    paper="https://doi.org/10.1109/ICCV.2015.133",
    layout=f"`{FOLDER}/{{{','.join(PARTS)}}}/0002_c1s1_000551_01.jpg`; distractors in `images/`",
    access="terms on its page",
    source="the authors' page, http://www.liangzheng.org/Project/project_reid.html; `distractors_500k.zip` there too",
    counts={
        "train": PartCounts(751, 12936, 6),
        "query": PartCounts(750, 3368, 6),
        "gallery": PartCounts(750, 15913, 6),
    },
    note=(
        "identity -1 (junk) is dropped, 0 (distractors) stays in the gallery; options `distractors_500k`, "
        "`train_only`"
    ),
)
