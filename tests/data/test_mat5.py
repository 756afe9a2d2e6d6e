# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import io
import random
import struct
import zlib

import numpy as np
import pytest
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.mat5 import check_mat5
from torchmultimodal_reid.data.matlab import load_mat

scipy_io = pytest.importorskip("scipy.io")
scipy_sparse = pytest.importorskip("scipy.sparse")

HEADER = b"text".ljust(124) + struct.pack("<H", 0x0100) + b"IM"


def element(kind, content):
    padding = b"\0" * (-len(content) % 8)
    return struct.pack("<II", kind, len(content)) + content + padding


def matrix(*parts, kind=9, shape=(1, 2), flags=0):
    """A variable: flags, dimensions, the name "a", and what follows."""
    head = element(6, struct.pack("<II", kind | flags, 0))
    dims = element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, head + dims + element(1, b"a") + b"".join(parts))


TWO = element(9, struct.pack("<dd", 1.0, 2.0))


def everything():
    cells = np.empty((1, 2), dtype=object)
    cells[0, 0], cells[0, 1] = np.arange(5, dtype=np.uint16), "name"
    return {
        "cells": cells,
        "numbers": np.arange(12.0).reshape(3, 4),
        "complex": np.array([1 + 2j]),
        "structure": {"x": 1, "longer": np.eye(2)},
        "nothing": np.zeros((0, 3)),
        "sparse": scipy_sparse.eye(3).tocsc(),
        "flags": np.array([True, False]),
    }


def saved(**options):
    file = io.BytesIO()
    scipy_io.savemat(file, everything(), **options)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_what_scipy_writes(compressed):
    check_mat5(saved(do_compression=compressed))


def test_a_file_written_by_hand(tmp_path):
    path = tmp_path / "hand.mat"
    path.write_bytes(HEADER + matrix(TWO))
    assert load_mat(str(path), ["a"])["a"].tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "no header of version 5"),
        (HEADER[:-2] + b"XX", "no header of version 5"),
        (HEADER + TWO, "a variable expected, got type 9"),
        (HEADER + matrix(TWO)[:-8], "bytes announced"),
        (HEADER + matrix(TWO) + b"1234", "4 bytes where 8 are a tag"),
        (HEADER + matrix(TWO, shape=(2, 2)), "4 numbers expected, got 16 bytes"),
        (HEADER + matrix(TWO, shape=(-1, 2)), r"impossible dimensions \(-1, 2\)"),
        (HEADER + matrix(TWO, flags=0x800), "2 lists of numbers expected, got 1"),
        (HEADER + matrix(TWO, kind=1), "2 arrays expected, got 1 elements"),
        (HEADER + matrix(TWO, kind=77), "unknown class 77"),
        (HEADER + matrix(element(11, b"12345678")), "got 8 bytes of type 11"),
        (HEADER + matrix(TWO, kind=2), "a structure without names of fields"),
        (HEADER + matrix(TWO, kind=5), "a sparse array of 1 parts"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        check_mat5(content)
    path = tmp_path / "broken.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"broken.mat: cut short.*{message}"):
        load_mat(str(path), ["a"])


def test_a_changed_byte_under_compression_is_noticed():
    content = bytearray(saved(do_compression=True))
    content[-1] ^= 1  # of the last checksum
    with pytest.raises(zlib.error):
        check_mat5(bytes(content))


def test_cells_without_end_are_refused():
    cell = matrix(TWO)
    for _ in range(60):
        cell = matrix(cell, kind=1, shape=(1, 1))
    with pytest.raises(ValueError, match="more than 50 deep"):
        check_mat5(HEADER + cell)


def test_changed_bytes_are_refused_or_read():
    """Unchecked, every thirtieth of these files ends the process within scipy."""
    whole, rng, read = saved(), random.Random(0), 0
    for _ in range(300):
        content = bytearray(whole)
        content[rng.randrange(128, len(content))] = rng.randrange(256)
        try:
            check_mat5(bytes(content))
            scipy_io.loadmat(io.BytesIO(bytes(content)))
            read += 1
        except (ValueError, TypeError, NotImplementedError):
            pass
    assert 0 < read < 300
