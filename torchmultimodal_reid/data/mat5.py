# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Whether a MATLAB file is whole, before compiled code that trusts its numbers reads it.

Layout: https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf
"""

import math
import struct
import zlib
from typing import Iterator, List, NamedTuple, Tuple

# bytes of a number by its type: int8, uint8, int16, uint16, int32, uint32, single, double, int64, uint64, UTF-8, 16, 32
_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_TEXT_SIZES = {16: 1, 17: 2, 18: 4}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE = 1, 2, 3, 4, 5
_NUMERIC = range(6, 16)
_HEADER = 128
_DEEPEST = 50


class _Element(NamedTuple):
    kind: int
    content: memoryview


class _Reader(NamedTuple):
    """Elements of a stretch of bytes, in order."""

    order: str  # of bytes, as struct writes it

    def numbers(self, element: _Element) -> Tuple[int, ...]:
        if element.kind not in (5, 6):
            raise ValueError(f"32-bit whole numbers expected, got type {element.kind}")
        code = "i" if element.kind == 5 else "I"
        count = len(element.content) // 4
        return struct.unpack(f"{self.order}{count}{code}", element.content[: 4 * count])

    def elements(
        self, content: memoryview, *, is_file: bool = False
    ) -> Iterator[_Element]:
        start = 0
        while start < len(content):
            if len(content) - start < 8:
                raise ValueError(f"{len(content) - start} bytes where 8 are a tag")
            kind, size = struct.unpack_from(f"{self.order}II", content, start)
            begin = start + 8
            if kind >> 16:  # type and size in 4 bytes, the data in the other 4
                kind, size, begin = kind & 0xFFFF, kind >> 16, start + 4
                if size > 4:
                    raise ValueError(f"{size} bytes in an element of 4")
                start += 8
            else:
                padded = size if kind == _COMPRESSED else -(-size // 8) * 8
                start = begin + padded
            # some programs leave the padding of the last element out
            if begin + size > len(content):
                raise ValueError(
                    f"{size} bytes announced, {len(content) - begin} are there"
                )
            if is_file and kind not in (_MATRIX, _COMPRESSED):
                raise ValueError(f"a variable expected, got type {kind}")
            yield _Element(kind, content[begin : begin + size])


def check_mat5(content: bytes) -> None:
    """Raises a ValueError or a zlib.error unless each announced type, size and shape fits what is there.

    Args:
        content (bytes): A whole file of version 5 to 7.
    """
    marks = {b"IM": "<", b"MI": ">"}
    if len(content) < _HEADER or content[126:128] not in marks:
        raise ValueError("no header of version 5")
    reader = _Reader(marks[content[126:128]])
    for element in reader.elements(memoryview(content)[_HEADER:], is_file=True):
        if element.kind == _COMPRESSED:
            # its checksum is compared when all of it is read
            (element,) = reader.elements(memoryview(zlib.decompress(element.content)))
            if element.kind != _MATRIX:
                raise ValueError(f"a variable expected, got type {element.kind}")
        _check_matrix(reader, element.content, 0)


def _check_matrix(reader: _Reader, content: memoryview, depth: int) -> None:
    if not content and depth:  # an empty cell
        return
    if depth > _DEEPEST:
        raise ValueError(f"cells in cells, more than {_DEEPEST} deep")
    parts = list(reader.elements(content))
    if len(parts) < 3 or len(parts[0].content) != 8:
        raise ValueError("flags, dimensions and a name expected")
    flags, _ = reader.numbers(parts[0])
    shape = reader.numbers(parts[1])
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"impossible dimensions {shape}")
    kind, is_complex, count = flags & 0xFF, bool(flags & 0x800), math.prod(shape)
    rest = parts[3:]
    if kind in _NUMERIC:
        _check_counts(rest, [count] * (2 if is_complex else 1))
    elif kind == _CHAR:
        if len(rest) > 1 or any(
            part.kind not in {**_SIZES, **_TEXT_SIZES} for part in rest
        ):
            raise ValueError("one text expected")
    elif kind == _SPARSE:
        _check_sparse(reader, rest, shape, is_complex)
    elif kind in (_CELL, _STRUCT, _OBJECT):
        if kind != _CELL:
            rest, names = _after_names(reader, rest[kind == _OBJECT :])
            count *= names
        if len(rest) != count or any(part.kind != _MATRIX for part in rest):
            raise ValueError(f"{count} arrays expected, got {len(rest)} elements")
        for part in rest:
            _check_matrix(reader, part.content, depth + 1)
    else:
        raise ValueError(f"unknown class {kind}")


def _check_counts(parts: List[_Element], counts: List[int]) -> None:
    if len(parts) != len(counts):
        raise ValueError(f"{len(counts)} lists of numbers expected, got {len(parts)}")
    for part, count in zip(parts, counts):
        if part.kind not in _SIZES or len(part.content) != count * _SIZES[part.kind]:
            raise ValueError(
                f"{count} numbers expected, got {len(part.content)} bytes of type {part.kind}"
            )


def _check_sparse(
    reader: _Reader, parts: List[_Element], shape: Tuple[int, ...], is_complex: bool
) -> None:
    if len(parts) != (4 if is_complex else 3):
        raise ValueError(f"a sparse array of {len(parts)} parts")
    rows, starts = reader.numbers(parts[0]), reader.numbers(parts[1])
    rising = all(one <= other for one, other in zip(starts, starts[1:]))
    if len(starts) != shape[1] + 1 or starts[0] != 0 or not rising:
        raise ValueError("columns of a sparse array do not fit its shape")
    used = starts[-1]
    if used > len(rows) or any(not 0 <= row < shape[0] for row in rows[:used]):
        raise ValueError("rows of a sparse array do not fit its shape")
    for part in parts[2:]:
        if part.kind not in _SIZES or len(part.content) < used * _SIZES[part.kind]:
            raise ValueError("numbers of a sparse array are missing")


def _after_names(reader: _Reader, parts: List[_Element]) -> Tuple[List[_Element], int]:
    """What follows the names of a structure's fields, and how many fields there are."""
    if len(parts) < 2:
        raise ValueError("a structure without names of fields")
    (length,) = reader.numbers(parts[0])
    size = len(parts[1].content)
    if length < 1 or size % length:
        raise ValueError(f"names of fields of {length} bytes each in {size} bytes")
    return parts[2:], size // length
