# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, Callable, Mapping, NamedTuple, Optional

from torchmultimodal_reid.data.sample import ReIDSplit


class PartCounts(NamedTuple):
    """Published counts of a part of a data set; ``None`` where its authors give none.

    Args:
        identities (Optional[int]): People in the part, distractors (identity 0) not counted.
        images (Optional[int]): Images, junk not counted.
        cameras (Optional[int]): Cameras, or what stands for them.
        captions (Optional[int]): Captions. Default: ``None``
    """

    identities: Optional[int]
    images: Optional[int]
    cameras: Optional[int]
    captions: Optional[int] = None


class DatasetInfo(NamedTuple):
    """What the table of data sets says about one.

    Args:
        name (str): What ``read_dataset`` and the recipes call it.
        title (str): What its authors call it.
        reader (Callable[..., ReIDSplit]): ``reader(root, **options)``.
        paper (str): URL of the paper.
        layout (str): The folders and names that the reader reads, in short.
        access (str): Licence or access note, in short.
        source (str): How to get it.
        counts (Mapping[str, PartCounts]): Published counts by part: ``train``, ``query``, ``gallery``, or ``all``
            where the data set has no parts of its own.
        options (Mapping[str, Any]): Options of the reader to which the counts belong, where these are not its
            defaults. Default: none
        kind (str): ``"real"``, ``"synthetic"``, ``"unlabelled"`` or ``"text"``. Default: ``"real"``
        note (str): What one has to know before using it. Default: nothing
    """

    name: str
    title: str
    reader: Callable[..., ReIDSplit]
    paper: str
    layout: str
    access: str
    source: str
    counts: Mapping[str, PartCounts]
    options: Mapping[str, Any] = {}
    kind: str = "real"
    note: str = ""
