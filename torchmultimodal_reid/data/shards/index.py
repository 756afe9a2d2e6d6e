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
FORMAT = "torchmultimodal_reid shards 1"


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


class ShardPart(NamedTuple):
    """A part of a data set in shards.

    Args:
        num_samples (int): Images.
        num_captions (int): Captions of all of them.
        captioned (bool): Whether each image has a caption.
        identity_ranges (Tuple[Tuple[int, int], ...]): The identities, as ranges ``(first, last)`` in ascending order.
        shards (Tuple[Shard, ...]): The tar files.
    """

    num_samples: int
    num_captions: int
    captioned: bool
    identity_ranges: Tuple[Tuple[int, int], ...]
    shards: Tuple[Shard, ...]


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
        }
    return json.dumps({"format": FORMAT, "name": index.name, "parts": parts}, indent=1)


def read_index(folder: str) -> ShardIndex:
    """Reads the index of a folder of shards.

    Args:
        folder (str): The folder that ``python -m torchmultimodal_reid.data.shards`` wrote.

    Returns:
        ShardIndex: What it holds.

    Raises:
        DataError: If the index is missing or is not one.
    """
    path = os.path.join(folder, FILE)
    if not os.path.isfile(path):
        raise DataError(
            f"{folder}: no {FILE}; expected a folder that python -m torchmultimodal_reid.data.shards wrote"
        )
    content = read_json(path, "index of shards")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path}: not an index of shards of format {FORMAT!r}")
    try:
        parts = {name: _part(part) for name, part in content["parts"].items()}
        return ShardIndex(str(content["name"]), parts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: a damaged index of shards ({type(error).__name__}: {error}); write the shards again"
        ) from error


def _part(content: Mapping[str, Any]) -> ShardPart:
    shards = tuple(Shard(**shard) for shard in content["shards"])
    for shard in shards:
        numbers = (shard.num_samples, shard.num_bytes)
        if any(not isinstance(number, int) or number < 1 for number in numbers):
            raise ValueError(f"counts of {shard.file!r} are {numbers}")
        if (
            not isinstance(shard.file, str)
            or os.path.basename(shard.file) != shard.file
        ):
            raise ValueError(f"{shard.file!r} is not a file of the folder")
    if sum(shard.num_samples for shard in shards) != content["num_samples"]:
        raise ValueError("the shards' counts do not add up")
    ranges = tuple((int(a), int(b)) for a, b in content["identity_ranges"])
    return ShardPart(
        int(content["num_samples"]),
        int(content["num_captions"]),
        bool(content["captioned"]),
        ranges,
        shards,
    )
