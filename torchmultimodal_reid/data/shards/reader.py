# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import hashlib
import io
import json
import os
import tarfile
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from torch import Tensor
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.image_io import decode_image
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.data.shards.extra import webdataset
from torchmultimodal_reid.data.shards.index import Shard


class RawSample(NamedTuple):
    """An image as a shard has it, not decoded.

    Args:
        person (PersonImage): What the reader of the data set found; its path is where the image came from.
        index (int): Position in the part.
        data (bytes): The image file.
        shard (str): The tar file's name, for errors.
    """

    person: PersonImage
    index: int  # type: ignore[assignment]  # shadows tuple.index
    data: bytes
    shard: str

    def decode(self, path: str, image_size: Tuple[int, int]) -> Tensor:
        """The decoded image, as ``SampleMaker`` reads it.

        Raises:
            UnreadableImageError: If it is damaged or no image. Names where it came from, and its shard.
        """
        return decode_image(
            io.BytesIO(self.data), f"{path} in {self.shard}", image_size
        )


def raw_sample(record: bytes, data: bytes, shard: str) -> RawSample:
    """A sample from the two files that a shard has of it.

    Args:
        record (bytes): What the JSON file says.
        data (bytes): The image file.
        shard (str): The tar file's name, for errors.
    """
    content = json.loads(record)
    person = PersonImage(
        content["path"],
        content["identity"],
        content["camera"],
        tuple(content["captions"]),
        content.get("attributes"),
    )
    return RawSample(person, content["index"], data, shard)


def read_shard(folder: str, shard: Shard) -> List[RawSample]:
    """Reads one shard into memory, and checks that it is what was written.

    Args:
        folder (str): The folder of the shards.
        shard (Shard): Which.

    Returns:
        List[RawSample]: Its samples in the order of the tar file.

    Raises:
        DataError: If it is missing, was changed, or is not such a shard. Names the file.
    """
    path = os.path.join(folder, shard.file)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise DataError(
            f"{path}: the shard cannot be read ({error.strerror})"
        ) from error
    if len(data) != shard.num_bytes:
        raise DataError(
            f"{path}: the shard has {len(data)} bytes, its index says {shard.num_bytes}; it is cut short or was "
            "changed, copy or write it again"
        )
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise DataError(
            f"{path}: the shard is damaged or was changed, its sha256 is not that of the index; copy or write it again"
        )
    try:
        samples = [_sample(entry, shard.file) for entry in _entries(data, path)]
    except (tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a shard of this library ({error})") from error
    if len(samples) != shard.num_samples:
        raise DataError(
            f"{path}: the shard has {len(samples)} samples, its index says {shard.num_samples}"
        )
    return samples


def _entries(data: bytes, path: str) -> Iterator[Dict[str, Any]]:
    tars = webdataset().tariterators
    files = tars.tar_file_iterator(io.BytesIO(data))
    return tars.group_by_keys({**file, "__url__": path} for file in files)


def _sample(entry: Dict[str, Any], shard: str) -> RawSample:
    images = [key for key in entry if key != "json" and not key.startswith("_")]
    if len(images) != 1:
        raise ValueError(f"{entry['__key__']} has {len(images)} images, expected 1")
    return raw_sample(entry["json"], entry[images[0]], shard)
