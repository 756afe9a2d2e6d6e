# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import hashlib
from pathlib import Path

_BLOCK = 2**20  # bytes at a time


class HashingFile:
    """A file that is written and hashed at once. The caller closes it.

    Args:
        path (Path): The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb")
        self._digest = hashlib.sha256()
        self.num_bytes = 0

    def write(self, data: bytes) -> int:
        """Writes bytes; returns how many."""
        self._digest.update(data)
        self.num_bytes += len(data)
        return self._file.write(data)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    @property
    def sha256(self) -> str:
        """The hash of what was written so far."""
        return self._digest.hexdigest()


def sha256_of(path: str) -> str:
    """The hash of a file, read in blocks.

    Raises:
        OSError: If it cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
