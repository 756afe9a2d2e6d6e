# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
from typing import Dict, List, Optional, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.dukemtmc import EXAMPLE, WITHDRAWN
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.folders import (
    find_root,
    finish_split,
    PresentFiles,
    read_lines,
)
from torchmultimodal_reid.data.market_layout import (
    parse_market_name,
    PARTS,
    read_market_layout,
)
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

FOLDER = "Occluded_Duke"
LISTS = ("train.list", "query.list", "gallery.list")


def occluded_duke(
    root: str,
    *,
    dukemtmc_root: Optional[str] = None,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads Occluded-DukeMTMC (https://openaccess.thecvf.com/content_ICCV_2019/html/
    Miao_Pose-Guided_Feature_Alignment_for_Occluded_Person_Re-Identification_ICCV_2019_paper.html).

    It is another split of DukeMTMC-reID, which was withdrawn (see ``dukemtmc``): every query is occluded. Its authors
    publish lists of names only. Two forms are read: Market-1501's three folders, which their script makes, or the lists
    ``train.list``, ``query.list`` and ``gallery.list`` beside DukeMTMC-reID's own folders. A query of the lists may lie
    in DukeMTMC-reID's ``query`` or ``bounding_box_test``. Most queries are in the gallery as well; evaluation drops
    gallery images of the query's own identity and camera, and so the query itself.

    Args:
        root (str): The folder of the three folders or, with ``dukemtmc_root``, of the three lists; or one that holds
            ``Occluded_Duke``.
        dukemtmc_root (Optional[str]): DukeMTMC-reID's folder, to read the lists. Default: the three folders are read
        captions (Optional[str]): A captions file. Default: ``captions.json`` in the root, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Identities are DukeMTMC-reID's numbers.

    Raises:
        DataError: If a folder, a list or an image of a list is missing, a name does not parse, or captions do not fit.
    """
    if dukemtmc_root is None:
        split = read_market_layout(
            "occluded_duke", root, folders=(FOLDER,), example=EXAMPLE
        )
        return finish_split(split, captions, missing_captions)
    lists = find_root(root, LISTS, (FOLDER,))
    images = find_root(dukemtmc_root, PARTS, ("DukeMTMC-reID",))
    train, query, gallery = (
        _read_list(os.path.join(lists, name), images, folder)
        for name, folder in zip(LISTS, PARTS)
    )
    split = ReIDSplit("occluded_duke", images, train, query, gallery)
    return finish_split(split, captions, missing_captions)


def _read_list(path: str, root: str, folder: str) -> Tuple[PersonImage, ...]:
    present = PresentFiles()
    images: List[PersonImage] = []
    lines: Dict[str, int] = {}
    for number, name in read_lines(path, f"names such as {EXAMPLE}"):
        if name in lines:
            raise DataError(
                f"{path}: line {number}: {name!r} is on line {lines[name]} already"
            )
        lines[name] = number
        places = [os.path.join(root, f, name) for f in (folder, PARTS[2])]
        image = next((place for place in places if place in present), None)
        if image is None:
            raise DataError(
                f"{path}: line {number}: no image {name!r} in {os.path.dirname(places[0])} or in {PARTS[2]}; expected "
                f"the name of one of DukeMTMC-reID's images, such as {EXAMPLE}"
            )
        identity, camera = parse_market_name(image, EXAMPLE)
        images.append(PersonImage(image, identity, camera))
    return tuple(images)


INFO = DatasetInfo(
    name="occluded_duke",
    title="Occluded-DukeMTMC",
    reader=occluded_duke,
    paper="https://openaccess.thecvf.com/content_ICCV_2019/html/"
    "Miao_Pose-Guided_Feature_Alignment_for_Occluded_Person_Re-Identification_ICCV_2019_paper.html",
    layout=f"`{FOLDER}/{{{','.join(PARTS)}}}/{EXAMPLE}`, or `{{train,query,gallery}}.list` with `dukemtmc_root`",
    access="withdrawn with DukeMTMC",
    source="lists of names: https://github.com/lightas/Occluded-DukeMTMC-Dataset",
    counts={
        "train": PartCounts(702, 15618, 8),
        "query": PartCounts(519, 2210, 8),
        "gallery": PartCounts(1110, 17661, 8),
    },
    note=WITHDRAWN,
)
