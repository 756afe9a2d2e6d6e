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
    name="rstpreid",
    folder="RSTPReid",
    files=("data_captions.json",),
    path_field="img_path",
    camera=r"\d+_c(\d+)_",
)


def rstpreid(
    root: str,
    *,
    annotations: Optional[str] = None,
    evaluate_on: str = "test",
    missing_images: str = "error",
) -> ReIDSplit:
    """Reads RSTPReid (Zhu et al., Deep Surroundings-person Separation Learning, https://arxiv.org/abs/2109.05534).

    The layout is ``data_captions.json`` beside ``imgs/``. Each record of the file has ``split`` (train, val or test),
    ``id`` (from 0), ``img_path`` below ``imgs`` and ``captions``. Names such as ``0000_c14_0031.jpg`` tell the camera,
    which is 13 here; where one does not, all cameras are 0. See ``read_text_to_person`` for the parts.

    Args:
        root (str): The folder of ``data_captions.json``, or one that holds ``RSTPReid``.
        annotations (Optional[str]): Another annotation file. Default: ``data_captions.json``
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
    name="rstpreid",
    title="RSTPReid",
    reader=rstpreid,
    paper="https://arxiv.org/abs/2109.05534",
    layout="`RSTPReid/data_captions.json` (split, captions, img_path, id), images below `imgs/`",
    access="terms of MSMT17",
    source="https://github.com/NjtechCVLab/RSTPReid-Dataset",
    counts={
        "train": PartCounts(3701, 18505, None),
        "query": PartCounts(200, 1000, None, 2000),
        "gallery": PartCounts(200, 1000, None, 2000),
    },
    kind="text",
    note='captions are the queries; `evaluate_on="val"` has as many',
)
