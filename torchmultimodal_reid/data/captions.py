# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import logging
import os
from collections import Counter
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.fields import caption_list, image_path
from torchmultimodal_reid.data.sample import PersonImage, without_captions
from torchmultimodal_reid.data.text_file import kind_of, read_json_list

logger = logging.getLogger(__name__)


class CaptionRecord(NamedTuple):
    """One record of a captions file.

    Args:
        file_path (str): The image, relative to the data set's root, or its bare name.
        captions (Tuple[str, ...]): At least one caption, none of them empty.
        attributes (Optional[Mapping[str, Any]]): The person's attributes, if told. Default: ``None``
        told (Optional[Tuple[Mapping[str, Any], ...]]): For each caption, the attributes that it tells.
            Default: ``None``
    """

    file_path: str
    captions: Tuple[str, ...]
    attributes: Optional[Mapping[str, Any]] = None
    told: Optional[Tuple[Mapping[str, Any], ...]] = None


def read_captions(path: str) -> Dict[str, CaptionRecord]:
    """Reads captions in the schema of CUHK-PEDES.

    The file is a JSON list of ``{"file_path": "bounding_box_train/0001_c1s1_000001_00.jpg", "captions": ["..."]}``.
    ``"attributes": {...}`` (of the person) and ``"told": [{...}, ...]`` (for each caption, what it tells) are read
    where they are there; other fields (``id``, ``split``, ``processed_tokens``) are left alone.

    Args:
        path (str): The JSON file.

    Returns:
        Dict[str, CaptionRecord]: Records by their ``file_path``.

    Raises:
        DataError: If the file is missing, is not JSON (names line and column), repeats a key, or a record does not fit
            the schema (names the record).
    """
    records: Dict[str, CaptionRecord] = {}
    for number, entry in enumerate(
        read_json_list(path, "captions file", "read_captions")
    ):
        where = f"{path}: record {number} (counted from 0)"
        record = _parse(entry, where)
        if record.file_path in records:
            raise DataError(
                f"{where}: a second record for {record.file_path!r}; put all captions of an image into one record"
            )
        records[record.file_path] = record
    return records


def _parse(entry: Any, where: str) -> CaptionRecord:
    if not isinstance(entry, dict):
        raise DataError(
            f"{where}: expected an object with 'file_path' and 'captions', got {kind_of(entry)}"
        )
    file_path = image_path(entry.get("file_path"), "file_path", where)
    where = f"{where} for {file_path!r}"
    captions = caption_list(entry.get("captions"), "captions", where)
    attributes, told = entry.get("attributes"), entry.get("told")
    if attributes is not None and not isinstance(attributes, dict):
        raise DataError(
            f"{where}: 'attributes' must be an object, got {kind_of(attributes)}"
        )
    if told is not None:
        if not isinstance(told, list) or any(not isinstance(t, dict) for t in told):
            raise DataError(
                f"{where}: 'told' must be a list of objects, one for each caption"
            )
        if len(told) != len(captions):
            raise DataError(
                f"{where}: 'told' has {len(told)} entries for {len(captions)} captions; it needs one for each"
            )
    return CaptionRecord(
        file_path,
        captions,
        attributes,
        None if told is None else tuple(told),
    )


def join_captions(
    images: Sequence[PersonImage],
    records: Mapping[str, CaptionRecord],
    root: str,
    missing: str = "error",
) -> Tuple[PersonImage, ...]:
    """Gives images their captions, joined by the image's path below ``root``, or by its name where a record has no
    folder.

    Give all parts of a data set in one call: a record for an image in none of them is an error, because that is what
    a moved or misspelt image looks like. (A record for a file that is there but that the reader left out, such as
    Market-1501's junk, is no error.)

    Args:
        images (Sequence[PersonImage]): Images of a reader.
        records (Mapping[str, CaptionRecord]): What ``read_captions`` returned.
        root (str): The folder to which the records' paths are relative.
        missing (str): What to do about images that no record names: ``"error"`` counts and lists them in an error,
            ``"allow"`` logs the same and leaves them without captions (``without_captions`` lists them).
            Default: ``"error"``

    Returns:
        Tuple[PersonImage, ...]: The same images in the same order, with captions.

    Raises:
        ValueError: If ``missing`` is neither ``"error"`` nor ``"allow"``.
        DataError: If a caption names an image that is not there, a bare name fits several images, or images have no
            captions and ``missing`` is ``"error"``.
    """
    if missing not in ("error", "allow"):
        raise ValueError(f"missing must be 'error' or 'allow', got {missing!r}")
    by_image = _match(images, records, root)
    joined = []
    for image in images:
        record = by_image.get(image.path)
        if record is not None:
            attributes = {
                key: value
                for key, value in (
                    ("attributes", record.attributes),
                    ("told", record.told and list(record.told)),
                )
                if value is not None
            }
            image = image._replace(
                captions=record.captions, attributes=attributes or None
            )
        joined.append(image)

    bare = without_captions(joined)
    if bare:
        message = (
            f"{len(bare)} of {len(joined)} images under {root} have no caption: "
            f"{listed([_relative(image.path, root) for image in bare])}"
        )
        if missing == "error":
            raise DataError(
                f"{message}. Add their captions, or pass missing_captions='allow' to go on without them"
            )
        logger.warning(message)
    return tuple(joined)


def _relative(path: str, root: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")


def _match(
    images: Sequence[PersonImage], records: Mapping[str, CaptionRecord], root: str
) -> Dict[str, CaptionRecord]:
    """Finds the image that each record means: path of the image -> record."""
    paths = {image.path for image in images}
    by_relative = {_relative(path, root): path for path in paths}
    by_name = {os.path.basename(path): path for path in paths}
    name_count = Counter(os.path.basename(path) for path in paths)

    matched: Dict[str, CaptionRecord] = {}
    absent = []
    for record in records.values():
        name = os.path.normpath(record.file_path).replace(os.sep, "/")
        path = by_relative.get(name)
        if path is None and "/" not in name:
            if name_count[name] > 1:
                raise DataError(
                    f"the caption for {name!r} fits {name_count[name]} images under {root}; give its folder too"
                )
            path = by_name.get(name)
        if path is not None:
            if path in matched:
                raise DataError(
                    f"two records name the image {path}: {matched[path].file_path!r} and {record.file_path!r}"
                )
            matched[path] = record
        elif not os.path.isfile(os.path.join(root, name)):
            absent.append(record.file_path)
    if absent:
        raise DataError(
            f"{len(absent)} of {len(records)} captions are for images that are not there under {root}: "
            f"{listed(absent)}. Put the images back, or take their records out of the captions file"
        )
    return matched
