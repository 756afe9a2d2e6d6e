# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.folders import finish_split
from torchmultimodal_reid.data.market_layout import PARTS, read_market_layout
from torchmultimodal_reid.data.sample import ReIDSplit

FOLDER = "DukeMTMC-reID"
EXAMPLE = "0005_c2_f0046985.jpg"
WITHDRAWN = (
    "withdrawn by its authors in 2019: people were filmed without being asked. Do not start new work on it; the reader "
    "is for checking published results"
)


def dukemtmc(
    root: str,
    *,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads DukeMTMC-reID, a data set that was withdrawn (https://arxiv.org/abs/1701.07717).

    Its authors took DukeMTMC down in 2019, because people had been filmed without being asked. The reader exists so
    that published results can be checked. New work should use other data.

    The layout is Market-1501's, with names such as ``0005_c2_f0046985.jpg``: identity 5, camera 2 of 8.

    Args:
        root (str): The folder that holds ``bounding_box_train``, ``query`` and ``bounding_box_test``, or one that holds
            ``DukeMTMC-reID``.
        captions (Optional[str]): A captions file. Default: ``captions.json`` beside the three, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Identities are the data set's own numbers.

    Raises:
        DataError: If a folder is missing or has no images, a name does not parse, or the captions do not fit.
    """
    split = read_market_layout("dukemtmc", root, folders=(FOLDER,), example=EXAMPLE)
    return finish_split(split, captions, missing_captions)


INFO = DatasetInfo(
    name="dukemtmc",
    title="DukeMTMC-reID",
    reader=dukemtmc,
    paper="https://arxiv.org/abs/1701.07717",
    layout=f"`{FOLDER}/{{{','.join(PARTS)}}}/{EXAMPLE}`",
    access="withdrawn",
    source="no longer published",
    counts={
        "train": PartCounts(702, 16522, 8),
        "query": PartCounts(702, 2228, 8),
        "gallery": PartCounts(1110, 17661, 8),
    },
    note=WITHDRAWN,
)
