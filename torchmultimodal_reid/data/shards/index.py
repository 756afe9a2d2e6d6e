# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import os
from bisect import bisect_right
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Tuple

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.text_file import read_json

FILE = "index.json"
_NAME, _VERSION = "torchmultimodal_reid shards", 2
FORMAT = f"{_NAME} {_VERSION}"


class Shard(NamedTuple):
    """One tar file.

    Args:
        file (str): Its name in the folder.
        num_samples (int): Samples in it.
        num_bytes (int): Its size.
        sha256 (str): Hash of its bytes.
    """

    file: str
    num_samples: int
    num_bytes: int
    sha256: str


class SideFile(NamedTuple):
    """A file beside the tar files, see ``catalogue.py``.

    Args:
        file (str): Its name in the folder.
        num_bytes (int): Its size.
        sha256 (str): Hash of its bytes.
    """

    file: str
    num_bytes: int
    sha256: str


class ShardPart(NamedTuple):
    """A part of a data set in shards.

    Args:
        num_samples (int): Images.
        num_captions (int): Captions of all of them.
        captioned (bool): Whether each image has a caption.
        identity_ranges (Tuple[Tuple[int, int], ...]): The identities, as ranges ``(first, last)`` in ascending order.
        shards (Tuple[Shard, ...]): The tar files.
        table (SideFile): Where each sample is.
        records (SideFile): What each sample says beside its image.
    """

    num_samples: int
    num_captions: int
    captioned: bool
    identity_ranges: Tuple[Tuple[int, int], ...]
    shards: Tuple[Shard, ...]
    table: SideFile
    records: SideFile


class ShardIndex(NamedTuple):
    """What ``index.json`` says about a folder of shards.

    Args:
        name (str): Name of the data set.
        parts (Mapping[str, ShardPart]): ``train``, ``query`` and ``gallery``, as far as they were written.
    """

    name: str
    parts: Mapping[str, ShardPart]


def identity_ranges(identities: Iterable[int]) -> Tuple[Tuple[int, int], ...]:
    """Ascending ranges ``(first, last)`` of numbers: small where the numbers follow each other."""
    ranges: List[Tuple[int, int]] = []
    for number in sorted(set(identities)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return tuple(ranges)


class Relabel:
    """Gives identities the labels 0..n-1 in ascending order, as ``relabel_identities`` does.

    Args:
        ranges (Tuple[Tuple[int, int], ...]): The identities, see ``identity_ranges``.
    """

    def __init__(self, ranges: Tuple[Tuple[int, int], ...]) -> None:
        self._firsts = [first for first, _ in ranges]
        self._labels = [0]
        for first, last in ranges:
            self._labels.append(self._labels[-1] + last - first + 1)

    def __len__(self) -> int:
        return self._labels[-1]

    def __call__(self, identity: int) -> int:
        place = bisect_right(self._firsts, identity) - 1
        return self._labels[place] + identity - self._firsts[place]


def index_text(index: ShardIndex) -> str:
    """The text of ``index.json``."""
    parts: Dict[str, Any] = {}
    for name, part in index.parts.items():
        parts[name] = {
            **part._asdict(),
            "shards": [shard._asdict() for shard in part.shards],
            "table": part.table._asdict(),
            "records": part.records._asdict(),
        }
    return json.dumps({"format": FORMAT, "name": index.name, "parts": parts}, indent=1)


def read_index(folder: str) -> ShardIndex:
    """Reads the index of a folder of shards.

    Args:
        folder (str): The folder that ``python -m torchmultimodal_reid.data.shards`` wrote.

    Returns:
        ShardIndex: What it holds.

    Raises:
        DataError: If the index is missing, is not one, or is of another version of this library.
    """
    path = os.path.join(folder, FILE)
    if not os.path.isfile(path):
        raise DataError(
            f"{folder}: no {FILE}; expected a folder that python -m torchmultimodal_reid.data.shards wrote"
        )
    content = read_json(path, "index of shards")
    _check_format(content, path)
    try:
        parts = {name: _part(part) for name, part in content["parts"].items()}
        return ShardIndex(str(content["name"]), parts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: a damaged index of shards ({type(error).__name__}: {error}); write the shards again"
        ) from error


def open_part(folder: str, part: str) -> ShardPart:
    """A part of a folder of shards.

    Args:
        folder (str): The folder.
        part (str): ``train``, ``query`` or ``gallery``.

    Raises:
        DataError: As ``read_index`` raises it; or if there is no such part.
    """
    index = read_index(folder)
    if part not in index.parts:
        raise DataError(
            f"{folder} has no part {part!r}; it has {', '.join(index.parts)}"
        )
    return index.parts[part]


def check_captioned(part: ShardPart, name: str, folder: str) -> None:
    """Raises a DataError unless each image of a part has a caption."""
    if not part.captioned:
        raise DataError(
            f"captions are asked for, but some images of {name!r} in {folder} have none; write the shards again with "
            "--captioned, which leaves those out, or do without captions"
        )


def _check_format(content: Any, path: str) -> None:
    found = content.get("format") if isinstance(content, dict) else None
    name, _, version = str(found).rpartition(" ")
    if name != _NAME or not version.isdecimal():
        raise DataError(f"{path}: not an index of shards of format {FORMAT!r}")
    if int(version) > _VERSION:
        raise DataError(
            f"{path}: shards of format {version} were written by a newer version of this library, this one reads "
            f"format {_VERSION}; install the newer one, or write the shards again with this one"
        )
    if int(version) < _VERSION:
        raise DataError(
            f"{path}: shards of format {version} were written by an older version of this library, this one reads "
            f"format {_VERSION}; write the shards again"
        )


def _part(content: Mapping[str, Any]) -> ShardPart:
    shards = tuple(Shard(**shard) for shard in content["shards"])
    table, records = (SideFile(**content[name]) for name in ("table", "records"))
    for shard in shards:
        _check_file(shard.file, shard.num_samples, shard.num_bytes)
    for file in (table, records):
        _check_file(file.file, file.num_bytes)
    if sum(shard.num_samples for shard in shards) != content["num_samples"]:
        raise ValueError("the shards' counts do not add up")
    ranges = tuple((int(a), int(b)) for a, b in content["identity_ranges"])
    return ShardPart(
        int(content["num_samples"]),
        int(content["num_captions"]),
        bool(content["captioned"]),
        ranges,
        shards,
        table,
        records,
    )


def _check_file(name: Any, *numbers: Any) -> None:
    if any(not isinstance(number, int) or number < 1 for number in numbers):
        raise ValueError(f"counts of {name!r} are {numbers}")
    if not isinstance(name, str) or os.path.basename(name) != name:
        raise ValueError(f"{name!r} is not a file of the folder")
