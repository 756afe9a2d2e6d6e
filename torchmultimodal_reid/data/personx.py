# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
from typing import Optional, Sequence, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.folders import find_root, finish_split
from torchmultimodal_reid.data.market_layout import PARTS, read_market_layout
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

EXAMPLE = "0001_c1s1_33.jpg"
BACKGROUNDS = (1, 2, 3, 4, 5, 6)


def personx(
    root: str,
    *,
    backgrounds: Sequence[int] = BACKGROUNDS,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads PersonX (Sun and Zheng, https://arxiv.org/abs/1812.02162): 1,266 rendered people from 36 viewpoints.

    ``PersonX_v1/1/bounding_box_train/0001_c1s1_33.jpg``: background 1, identity 1, viewpoint 33 of 36, in steps of 10
    degrees. The background stands for the camera. Within one background every match is of the query's own camera, and
    evaluation would drop it: read two or more.

    Args:
        root (str): The folder of the backgrounds' folders ``1`` to ``6``, one that holds ``PersonX_v1``, or the folder
            of one background (or of another set in this layout), which is then read alone.
        backgrounds (Sequence[int]): Which to read. Default: all six
        captions (Optional[str]): A captions file. Default: ``captions.json`` in the root, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: The backgrounds' images one after another.

    Raises:
        DataError: If a folder is missing or has no images, a name does not parse, or the captions do not fit.
    """
    if any(os.path.isdir(os.path.join(root, part)) for part in PARTS):
        split = read_market_layout("personx", root, example=EXAMPLE)
        return finish_split(split, captions, missing_captions)
    if not backgrounds:
        raise DataError(
            f"{root}: no backgrounds to read; expected some of {BACKGROUNDS}"
        )
    root = find_root(root, [str(b) for b in backgrounds], ("PersonX_v1",))
    parts = [
        read_market_layout("personx", os.path.join(root, str(b)), example=EXAMPLE)
        for b in backgrounds
    ]

    def together(part: str) -> Tuple[PersonImage, ...]:
        return tuple(image for split in parts for image in getattr(split, part))

    split = ReIDSplit(
        "personx", root, together("train"), together("query"), together("gallery")
    )
    return finish_split(split, captions, missing_captions)


INFO = DatasetInfo(
    name="personx",
    title="PersonX",
    reader=personx,
    paper="https://arxiv.org/abs/1812.02162",
    layout=f"`PersonX_v1/{{1..6}}/{{{','.join(PARTS)}}}/{EXAMPLE}` (the last field is the viewpoint)",
    access="MIT (its repository)",
    source="https://github.com/sxzrt/Instructions-of-the-PersonX-dataset",
    counts={"all": PartCounts(1266, 273456, 6)},
    kind="synthetic",
    note="the background stands for the camera: read two or more with `backgrounds`",
)
