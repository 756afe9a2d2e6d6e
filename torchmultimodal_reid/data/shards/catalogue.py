# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What lies beside a part's tar files, so that any sample is found without reading those before it.

The *table* has a row of fixed size for each sample: where in its tar file the image and the record are. The *records*
are a line of JSON for each sample: all that its record in the tar file says but the attributes, so that captions can be
read without the images. Both are in the order of the shards.
"""

import json
import struct
import tarfile
import zlib
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Iterator, NamedTuple, Tuple

from torchmultimodal_reid.data.shards.hashing import HashingFile
from torchmultimodal_reid.data.shards.index import SideFile

_ROW = struct.Struct("<QIQII")
ROW_BYTES = _ROW.size
_TOLD = ("path", "identity", "camera", "captions")


class Place(NamedTuple):
    """Where a sample is in its tar file.

    Args:
        image (int): First byte of the image file.
        image_size (int): Its size in bytes.
        record (int): First byte of the JSON record.
        record_size (int): Its size in bytes.
        crc32 (int): Checksum of the record, then the image.
    """

    image: int
    image_size: int
    record: int
    record_size: int
    crc32: int

    def read(self, file: BinaryIO) -> Tuple[bytes, bytes]:
        """The record and the image; shorter than they should be where the file ends too early."""
        file.seek(self.record)
        record = file.read(self.record_size)
        file.seek(self.image)
        return record, file.read(self.image_size)

    def fits(self, record: bytes, image: bytes) -> bool:
        """Whether these are the bytes that were written."""
        return zlib.crc32(image, zlib.crc32(record)) == self.crc32

    def row(self) -> bytes:
        """The row of the table."""
        return _ROW.pack(*self)

    @classmethod
    def from_row(cls, row: bytes) -> "Place":
        """Reads a row of the table."""
        return cls._make(_ROW.unpack(row))


class CatalogueWriter:
    """Writes table and records of a part, shard by shard. The caller closes it.

    Args:
        folder (Path): The folder of the shards.
        part (str): Name of the part.
    """

    def __init__(self, folder: Path, part: str) -> None:
        self._folder = folder
        self._names = f"{part}.table", f"{part}.records.jsonl"
        self._table, self._records = (HashingFile(folder / n) for n in self._names)

    def add(self, shard: str) -> None:
        """Adds the samples of a tar file that was written."""
        path = self._folder / shard
        with open(path, "rb") as file:
            for place in _places(path):
                record, image = place.read(file)
                crc32 = zlib.crc32(image, zlib.crc32(record))
                self._table.write(place._replace(crc32=crc32).row())
                content = json.loads(record)
                told = json.dumps({key: content[key] for key in _TOLD})
                self._records.write(told.encode("ascii") + b"\n")

    def close(self) -> None:
        """Closes both files."""
        self._table.close()
        self._records.close()

    def files(self) -> Tuple[SideFile, SideFile]:
        """Table and records, as the index names them."""
        table, records = (
            SideFile(name, file.num_bytes, file.sha256)
            for name, file in zip(self._names, (self._table, self._records))
        )
        return table, records


def _places(path: Path) -> Iterator[Place]:
    """Where the samples of a tar file are, without their checksums."""
    with tarfile.open(path, "r:") as tar:
        for _, members in groupby(tar, lambda member: member.name.partition(".")[0]):
            found = {member.name.endswith(".json"): member for member in members}
            image, record = found[False], found[True]
            yield Place(
                image.offset_data, image.size, record.offset_data, record.size, 0
            )
