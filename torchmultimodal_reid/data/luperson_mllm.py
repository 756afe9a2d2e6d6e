# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
from typing import Any, Dict, List, Optional, Sequence

from torchmultimodal_reid.data.caption_images import images_with_captions
from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.fields import caption_list, image_path
from torchmultimodal_reid.data.sample import ReIDSplit
from torchmultimodal_reid.data.text_file import kind_of, read_json

FOLDERS = ("caption", "captions", "")


def luperson_mllm(
    root: str,
    *,
    captions: Optional[Sequence[str]] = None,
    missing_images: str = "error",
) -> ReIDSplit:
    """Reads images with captions of multimodal language models, as LUPerson-MLLM has them.

    Tan et al., Harnessing the Power of MLLMs for Transferable Text-to-Image Person ReID,
    https://arxiv.org/abs/2405.04940. Each captions file is one JSON object, image's path -> caption (or list of
    captions). Several files (``Ts-qwen.json``, ``Td-qwen.json``, ``Ts-shikra.json``, ``Td-shikra.json``) each add
    theirs. An image is found by its path below the root or by its name alone. Nobody knows who is in the images: each
    is a person of its own, under camera 0. Query and gallery are empty. Images without a caption are left out.

    Args:
        root (str): The folder of images; it may have subfolders.
        captions (Optional[Sequence[str]]): The captions files. Default: all ``*.json`` of ``caption``, ``captions`` or
            the root itself, the first of these that has any, in the order of their names
        missing_images (str): ``"error"`` or ``"allow"``, for captions whose images are not there. Default: ``"error"``

    Returns:
        ReIDSplit: Training images in the order of their paths.

    Raises:
        DataError: If there is no captions file, it does not fit, or images are missing.
    """
    if not os.path.isdir(root):
        raise DataError(f"the data set's root {root!r} is not a folder")
    files = _find_files(root) if captions is None else list(captions)
    merged: Dict[str, List[str]] = {}
    for file in files:
        for path, texts in _read(file).items():
            merged.setdefault(path, []).extend(texts)
    source = files[0] if len(files) == 1 else f"{root} ({listed(files)})"
    train = images_with_captions(merged, root, source, missing_images)
    return ReIDSplit("luperson_mllm", root, train, (), ())


def _find_files(root: str) -> List[str]:
    for folder in FOLDERS:
        path = os.path.join(root, folder) if folder else root
        if os.path.isdir(path):
            names = sorted(name for name in os.listdir(path) if name.endswith(".json"))
            if names:
                return [os.path.join(path, name) for name in names]
    raise DataError(
        f"{root}: no captions; expected JSON files in it, or in its folder caption or captions"
    )


def _read(path: str) -> Dict[str, List[str]]:
    entries: Any = read_json(path, "captions file")
    if not isinstance(entries, dict):
        raise DataError(
            f"{path}: expected one object, image's path -> caption, got {kind_of(entries)}"
        )
    found: Dict[str, List[str]] = {}
    for number, (name, value) in enumerate(entries.items()):
        where = f"{path}: entry {number} (counted from 0)"
        name = image_path(name, "key", where)
        texts = caption_list(
            [value] if isinstance(value, str) else value,
            "value",
            f"{where} for {name!r}",
        )
        found.setdefault(name, []).extend(texts)
    return found


INFO = DatasetInfo(
    name="luperson_mllm",
    title="LUPerson-MLLM",
    reader=luperson_mllm,
    paper="https://arxiv.org/abs/2405.04940",
    layout="JSON files of image -> caption in `caption/` or beside any folders of images",
    access="LUPerson: research only",
    source="https://github.com/WentaoTan/MLLM4Text-ReID",
    counts={
        "train": PartCounts(None, None, None, None),
    },
    kind="text",
    note="training only; every image is an identity of its own; captions are generated",
)
