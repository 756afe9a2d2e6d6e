# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
from typing import Dict, List, Optional

from torchmultimodal_reid.data.caption_images import images_with_captions
from torchmultimodal_reid.data.dataset_info import DatasetInfo
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.fields import caption_text, image_path
from torchmultimodal_reid.data.sample import ReIDSplit
from torchmultimodal_reid.data.text_file import LineReader

FILE = "captions.tsv"


def captions_tsv(
    root: str,
    *,
    captions: Optional[str] = None,
    missing_images: str = "error",
) -> ReIDSplit:
    """Reads a plain file of captions: ``image<TAB>caption`` on each line, several lines for several captions.

    Nobody knows who is in the images: each is a person of its own, under camera 0. Query and gallery are empty. A first
    line ``image<TAB>caption`` is taken as the header.

    Args:
        root (str): The folder of images; it may have subfolders.
        captions (Optional[str]): The file. Default: ``captions.tsv`` in the root
        missing_images (str): ``"error"`` or ``"allow"``, for captions whose images are not there. Default: ``"error"``

    Returns:
        ReIDSplit: Training images in the order of their paths.

    Raises:
        DataError: If the file is missing, a line does not fit (names it), or images are missing.
    """
    path = os.path.join(root, FILE) if captions is None else captions
    if not os.path.isdir(root):
        raise DataError(f"the data set's root {root!r} is not a folder")
    if not os.path.isfile(path):
        raise DataError(
            f"{path}: the captions file is missing; expected lines of image<TAB>caption"
        )
    train = images_with_captions(_read(path), root, path, missing_images)
    return ReIDSplit("captions_tsv", root, train, (), ())


def _read(path: str) -> Dict[str, List[str]]:
    found: Dict[str, List[str]] = {}
    with LineReader(path, "captions file") as lines:
        for number, line in enumerate(lines, start=1):
            line = line.removesuffix("\n").removesuffix("\r")
            if number > 1 or line != "image\tcaption":
                _add(found, line, f"{path}: line {number}")
    return found


def _add(found: Dict[str, List[str]], line: str, where: str) -> None:
    fields = line.split("\t")
    if len(fields) != 2:
        raise DataError(
            f"{where}: expected an image and a caption with one tab between them, got {len(fields) - 1} tabs: "
            f"{line[:80]!r}"
        )
    name = image_path(fields[0], "image", where)
    caption = caption_text(fields[1], "the caption", where)
    texts = found.setdefault(name, [])
    if caption in texts:
        raise DataError(f"{where}: the same caption for {name!r} a second time")
    texts.append(caption)


INFO = DatasetInfo(
    name="captions_tsv",
    title="Images with a file of captions",
    reader=captions_tsv,
    paper="",
    layout="any folders of images, `captions.tsv` with `image<TAB>caption` on each line",
    access="your own",
    source="your own",
    counts={},
    kind="text",
    note="training only; every image is an identity of its own",
)
