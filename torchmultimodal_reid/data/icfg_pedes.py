# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.sample import ReIDSplit
from torchmultimodal_reid.data.text_to_person import Layout, read_text_to_person

LAYOUT = Layout(
    name="icfg_pedes",
    folder="ICFG-PEDES",
    files=("ICFG-PEDES.json", "ICFG_PEDES.json"),
    path_field="file_path",
    camera=r"\d+_\d+_(\d{2})_",
)


def icfg_pedes(
    root: str,
    *,
    annotations: Optional[str] = None,
    missing_images: str = "error",
) -> ReIDSplit:
    """Reads ICFG-PEDES (Ding et al., Semantically Self-Aligned Network, https://arxiv.org/abs/2107.12666).

    The layout is ``ICFG-PEDES.json`` (some copies: ``ICFG_PEDES.json``) beside ``imgs/{train,test}``. Each record of
    the file has ``split`` (train or test), ``id``, ``file_path`` below ``imgs`` and ``captions``. The images are
    MSMT17's, whose names tell the camera, as in ``0003_019_05_0303morning_0040_0.jpg``: camera 5, which is 4 here.
    Where a name does not, all cameras are 0. See ``read_text_to_person`` for the parts.

    Args:
        root (str): The folder of the annotation file, or one that holds ``ICFG-PEDES``.
        annotations (Optional[str]): Another annotation file. Default: the one in the folder
        missing_images (str): ``"error"`` or ``"allow"``. Default: ``"error"``

    Returns:
        ReIDSplit: Query and gallery are the same images; the queries are their captions.

    Raises:
        DataError: If files are missing or a record does not fit.
    """
    return read_text_to_person(
        LAYOUT, root, annotations=annotations, missing_images=missing_images
    )


INFO = DatasetInfo(
    name="icfg_pedes",
    title="ICFG-PEDES",
    reader=icfg_pedes,
    paper="https://arxiv.org/abs/2107.12666",
    layout=(
        "`ICFG-PEDES/ICFG-PEDES.json` or `ICFG_PEDES.json` (split, captions, file_path, id), images "
        "below `imgs/`"
    ),
    access="on request; terms of MSMT17",
    source="https://github.com/zifyloo/SSAN",
    counts={
        "train": PartCounts(3102, 34674, None, 34674),
        "query": PartCounts(1000, 19848, None, 19848),
        "gallery": PartCounts(1000, 19848, None, 19848),
    },
    kind="text",
    note="captions are the queries; no validation part",
)
