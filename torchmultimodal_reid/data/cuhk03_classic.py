# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional

from torchmultimodal_reid.data.cuhk03 import cuhk03, RELEASE
from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.sample import ReIDSplit


def cuhk03_classic(
    root: str,
    *,
    split: int = 0,
    boxes: str = "detected",
    images_root: Optional[str] = None,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads CUHK03 by its classic protocol: ``cuhk03(root, protocol="classic")``, whose docstring says the rest.

    It is a data set of its own among the protocols, because other people are tested, and in another way: each of 20
    splits tests 100 people, with one gallery image of each.

    Args:
        root (str): The folder of ``cuhk03_release``, or one that holds ``cuhk03``.
        split (int): Which of the 20 splits. Default: 0
        boxes (str): ``"detected"`` or ``"labeled"`` (drawn by hand). Default: ``"detected"``
        images_root (Optional[str]): Folder for the extracted images. Default: the root
        captions (Optional[str]): A captions file. Default: ``captions.json`` beside the images, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Query and gallery both hold all images of the people to test on.

    Raises:
        ValueError: If ``boxes`` is unknown.
        DataError: If a file is missing or broken, or there is no such split.
    """
    return cuhk03(
        root,
        boxes=boxes,
        protocol="classic",
        split=split,
        images_root=images_root,
        captions=captions,
        missing_captions=missing_captions,
    )


INFO = DatasetInfo(
    name="cuhk03_classic",
    title="CUHK03 (classic protocol)",
    reader=cuhk03_classic,
    paper="https://openaccess.thecvf.com/content_cvpr_2014/html/Li_DeepReID_Deep_Filter_2014_CVPR_paper.html",
    layout=f"`{RELEASE}`",
    access="terms on its page",
    source="https://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html",
    counts={
        "train": PartCounts(1367, None, 2),
        "query": PartCounts(100, None, 2),
        "gallery": PartCounts(100, None, 2),
    },
    note="average of 20 published splits: `split` 0 to 19; one random gallery image of each person, see "
    "[protocols](protocols.md); needs h5py",
)
