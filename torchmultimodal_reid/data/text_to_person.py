# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What the readers of CUHK-PEDES, ICFG-PEDES and RSTPReid share: one JSON list with a record for each image."""

import logging
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.fields import (
    caption_list,
    image_path,
    one_of,
    whole_number,
)
from torchmultimodal_reid.data.image_files import check_images_exist, find_annotations
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.text_file import kind_of, read_json_list

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")


class Layout(NamedTuple):
    """Where a text-to-person data set keeps what.

    Args:
        name (str): Name of the data set, for stamps.
        folder (str): Usual name of its folder.
        files (Tuple[str, ...]): Names that its annotation file goes by, the first one found being read.
        path_field (str): Field of the image's path.
        images (str): Folder to which the paths are relative. Default: ``"imgs"``
        camera (Optional[str]): Pattern of an image's name, its group being the camera from 1. Default: the names tell
            no camera
    """

    name: str
    folder: str
    files: Tuple[str, ...]
    path_field: str
    images: str = "imgs"
    camera: Optional[str] = None


class _Entry(NamedTuple):
    split: str
    identity: int
    captions: Tuple[str, ...]


def read_text_to_person(
    layout: Layout,
    root: str,
    *,
    annotations: Optional[str] = None,
    evaluate_on: str = "test",
    missing_images: str = "error",
) -> ReIDSplit:
    """Reads a data set whose queries are captions.

    Query and gallery are the same images, all of the test part (or of the validation part): the texts of
    ``expand_captions(split.query)`` are what is searched with, every image is searched in, and no camera is filtered.
    A second record of the same image adds its captions to the first.

    Args:
        layout (Layout): The data set's layout.
        root (str): The folder of the annotation file, or one that holds ``layout.folder``.
        annotations (Optional[str]): Another annotation file. Default: the one in the folder
        evaluate_on (str): ``"test"`` or ``"val"``. Default: ``"test"``
        missing_images (str): ``"error"``, or ``"allow"`` to log and leave out images that are not there.
            Default: ``"error"``

    Returns:
        ReIDSplit: Images in the order of the file, with the data set's own identities.

    Raises:
        ValueError: If ``evaluate_on`` or ``missing_images`` is invalid.
        DataError: If files are missing, a record does not fit (names it), or a part has no image.
    """
    if evaluate_on not in ("test", "val"):
        raise ValueError(f"evaluate_on must be 'test' or 'val', got {evaluate_on!r}")
    if annotations is None:
        annotations = find_annotations(root, layout.folder, layout.files)
        root = os.path.dirname(annotations)
    entries = _read_entries(layout, annotations)
    folder = os.path.join(root, layout.images)
    paths = {path: os.path.join(folder, *path.split("/")) for path in entries}
    absent = check_images_exist(list(paths.values()), annotations, missing_images)
    cameras = _cameras(list(entries), layout.camera)
    parts: Dict[str, List[PersonImage]] = {split: [] for split in SPLITS}
    for (path, entry), camera in zip(entries.items(), cameras):
        if paths[path] not in absent:
            image = PersonImage(paths[path], entry.identity, camera, entry.captions)
            parts[entry.split].append(image)
    for split in ("train", evaluate_on):
        if not parts[split]:
            raise DataError(
                f"{annotations}: no image of the split {split!r}; found "
                f"{', '.join(f'{len(images)} of {name}' for name, images in parts.items())}"
            )
    test = tuple(parts[evaluate_on])
    # where one name does not tell its camera, all are 0
    tells_cameras = any(cameras)
    return ReIDSplit(
        layout.name, root, tuple(parts["train"]), test, test, tells_cameras
    )


def _read_entries(layout: Layout, path: str) -> Dict[str, _Entry]:
    entries: Dict[str, _Entry] = {}
    schema = f"the reader {layout.name}"
    for number, record in enumerate(read_json_list(path, "annotation file", schema)):
        where = f"{path}: record {number} (counted from 0)"
        name, entry = _parse(record, layout.path_field, where)
        first = entries.get(name)
        if first is not None:
            if first[:2] != entry[:2]:
                raise DataError(
                    f"{where}: {name!r} was of split {first.split!r} and identity {first.identity} in an earlier "
                    f"record, and is of split {entry.split!r} and identity {entry.identity} here"
                )
            entry = entry._replace(captions=first.captions + entry.captions)
        entries[name] = entry
    return entries


def _parse(record: Any, path_field: str, where: str) -> Tuple[str, _Entry]:
    if not isinstance(record, dict):
        raise DataError(
            f"{where}: expected an object with 'split', 'id', {path_field!r} and 'captions', got {kind_of(record)}"
        )
    name = relative_path(record.get(path_field), path_field, where)
    where = f"{where} for {name!r}"
    split = one_of(record.get("split"), SPLITS, "split", where)
    identity = whole_number(record.get("id"), "id", where)
    return name, _Entry(
        split, identity, caption_list(record.get("captions"), "captions", where)
    )


def relative_path(value: Any, field: str, where: str) -> str:
    """A path below the folder of images: it may not lead out of it.

    Raises:
        DataError: If it is no path, is absolute, or leads up.
    """
    path = os.path.normpath(image_path(value, field, where)).replace(os.sep, "/")
    if path.startswith(("/", "../")) or path in (".", ".."):
        raise DataError(
            f"{where}: {field!r} must lead to a file below the folder of images, got {value!r}"
        )
    return path


def _cameras(names: Sequence[str], pattern: Optional[str]) -> List[int]:
    """The cameras that the names tell; 0 for all where one of them does not tell it."""
    if pattern is None:
        return [0] * len(names)
    matches = [re.match(pattern, os.path.basename(name)) for name in names]
    cameras = [int(match[1]) - 1 for match in matches if match is not None]
    untold = [name for name, match in zip(names, matches) if match is None]
    if untold or min(cameras, default=0) < 0:
        logger.warning(
            "%d of %d names do not tell the camera (%s); all images get camera 0",
            len(untold),
            len(names),
            listed(untold),
        )
        return [0] * len(names)
    return cameras
