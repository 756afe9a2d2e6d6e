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
    name="cuhk_pedes",
    folder="CUHK-PEDES",
    files=("reid_raw.json",),
    path_field="file_path",
)


def cuhk_pedes(
    root: str,
    *,
    annotations: Optional[str] = None,
    evaluate_on: str = "test",
    missing_images: str = "error",
) -> ReIDSplit:
    """Reads CUHK-PEDES (Li et al., Person Search with Natural Language Description, https://arxiv.org/abs/1702.05729).

    The layout is ``reid_raw.json`` beside ``imgs/``. Each record of the file has ``split`` (train, val or test), ``id``
    (from 1), ``file_path`` below ``imgs`` and ``captions``; ``processed_tokens`` is left alone. The data set tells no
    cameras: all are 0. See ``read_text_to_person`` for the parts and for the arguments.

    Args:
        root (str): The folder of ``reid_raw.json``, or one that holds ``CUHK-PEDES``.
        annotations (Optional[str]): Another annotation file. Default: ``reid_raw.json``
        evaluate_on (str): ``"test"`` or ``"val"``. Default: ``"test"``
        missing_images (str): ``"error"`` or ``"allow"``. Default: ``"error"``

    Returns:
        ReIDSplit: Query and gallery are the same images; the queries are their captions.

    Raises:
        DataError: If files are missing or a record does not fit.
    """
    return read_text_to_person(
        LAYOUT,
        root,
        annotations=annotations,
        evaluate_on=evaluate_on,
        missing_images=missing_images,
    )


INFO = DatasetInfo(
    name="cuhk_pedes",
    title="CUHK-PEDES",
    reader=cuhk_pedes,
    paper="https://arxiv.org/abs/1702.05729",
    layout="`CUHK-PEDES/reid_raw.json` (split, captions, file_path, id), images below `imgs/`",
    access="on request; research only",
    source="https://github.com/ShuangLI59/Person-Search-with-Natural-Language-Description",
    counts={
        "train": PartCounts(11003, 34054, None, 68126),
        "query": PartCounts(1000, 3074, None, 6156),
        "gallery": PartCounts(1000, 3074, None, 6156),
    },
    kind="text",
    note=(
        'captions are the queries; `evaluate_on="val"` has 1,000 people, 3,078 images, 6,158 captions; '
        "no cameras"
    ),
)
