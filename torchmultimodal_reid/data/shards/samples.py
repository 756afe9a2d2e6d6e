# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import hashlib
import json
import os
from bisect import bisect_right
from itertools import accumulate
from typing import Any, Iterator, List

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.data.shards.catalogue import Place, ROW_BYTES
from torchmultimodal_reid.data.shards.hashing import sha256_of
from torchmultimodal_reid.data.shards.index import check_captioned, open_part, SideFile
from torchmultimodal_reid.data.shards.reader import raw_sample, RawSample
from torchmultimodal_reid.data.text_file import LineReader

_MEND = "it is cut short or was changed, copy or write it again"


class ShardSamples:
    """Any sample of a part by its number, at any time and in any process. Numbers go through the shards in order.

    A sample is read where it lies: nothing but the index, a line for each shard, is in memory. Opening looks at the
    size of each file and at the table; a sample's bytes are compared with their checksum whenever they are read.

    Args:
        folder (str): What ``python -m torchmultimodal_reid.data.shards`` wrote.
        part (str): ``train``, ``query`` or ``gallery``. Default: ``"train"``

    Raises:
        DataError: If the index is missing, damaged, of another version, or has no such part; if a file is missing or
            has another size than it says; or if the table was changed.
    """

    def __init__(self, folder: str, part: str = "train") -> None:
        self.folder, self.name = folder, part
        self.part = open_part(folder, part)
        self._firsts = [0, *accumulate(self.counts)]
        if self.part.table.num_bytes != len(self) * ROW_BYTES:
            raise DataError(
                f"{self._path(self.part.table.file)}: the table has {self.part.table.num_bytes} bytes, expected "
                f"{ROW_BYTES} for each of {len(self)} samples; write the shards again"
            )
        for file in (*self.part.shards, self.part.table, self.part.records):
            self._check_size(file)
        self._check_hash(self.part.table)

    def __len__(self) -> int:
        return self.part.num_samples

    @property
    def counts(self) -> List[int]:
        """Samples of each shard."""
        return [shard.num_samples for shard in self.part.shards]

    @property
    def fingerprint(self) -> str:
        """A hash that two folders share exactly if their shards are the same, in the same order."""
        content = json.dumps([shard.sha256 for shard in self.part.shards])
        return hashlib.sha256(content.encode("ascii")).hexdigest()

    def shard_of(self, number: int) -> range:
        """The numbers of all samples of the shard that holds a sample."""
        shard = bisect_right(self._firsts, number) - 1
        return range(self._firsts[shard], self._firsts[shard + 1])

    def read(self, number: int) -> RawSample:
        """A sample, not decoded.

        Args:
            number (int): From 0 to ``len(self) - 1``.

        Raises:
            DataError: If its shard is missing by now, or its bytes were changed. Names the tar file.
        """
        shard = self.part.shards[bisect_right(self._firsts, number) - 1].file
        try:
            # opened for each sample: no file stays open, and a copy of this object may go to any process
            with open(self._path(self.part.table.file), "rb") as file:
                file.seek(number * ROW_BYTES)
                row = file.read(ROW_BYTES)
            if len(row) < ROW_BYTES:
                raise DataError(f"{file.name}: {_MEND}")
            place = Place.from_row(row)
            with open(self._path(shard), "rb") as file:
                record, image = place.read(file)
        except OSError as error:
            raise DataError(
                f"{error.filename}: cannot be read ({error.strerror})"
            ) from error
        if not place.fits(record, image):
            raise DataError(
                f"{self._path(shard)}: sample {number - self.shard_of(number)[0]} of the shard is damaged or was "
                "changed, its checksum is not that of the table; copy or write the shard again"
            )
        return raw_sample(record, image, shard)

    def people(self) -> Iterator[PersonImage]:
        """What the samples say beside their images, without attributes, one after the other.

        Raises:
            DataError: If the records were changed.
        """
        self._check_hash(self.part.records)
        with LineReader(self._path(self.part.records.file), "records") as lines:
            for line in lines:
                told = json.loads(line)
                yield PersonImage(**{**told, "captions": tuple(told["captions"])})

    def check_captioned(self) -> None:
        """Raises a DataError unless each image has a caption."""
        check_captioned(self.part, self.name, self.folder)

    def _path(self, file: str) -> str:
        return os.path.join(self.folder, file)

    def _check_size(self, file: Any) -> None:
        path = self._path(file.file)
        try:
            size = os.path.getsize(path)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read ({error.strerror}); copy or write the shards again"
            ) from error
        if size != file.num_bytes:
            raise DataError(
                f"{path}: has {size} bytes, its index says {file.num_bytes}; {_MEND}"
            )

    def _check_hash(self, file: SideFile) -> None:
        path = self._path(file.file)
        try:
            found = sha256_of(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        if found != file.sha256:
            raise DataError(f"{path}: its sha256 is not that of the index; {_MEND}")
