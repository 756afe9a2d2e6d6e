# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Tuple

import torch
from torch import Tensor


class SparseRows(NamedTuple):
    """A sparse matrix as the entries of its rows, one row after the other (compressed sparse rows)."""

    start: Tensor  # shape: (rows + 1,), long; row i has the entries start[i] to start[i + 1] - 1
    column: Tensor  # shape: (entries,), long
    value: Tensor  # shape: (entries,), float32

    @property
    def counts(self) -> Tensor:
        """Entries of each row. Shape ``(rows,)``."""
        return self.start.diff()

    @property
    def row(self) -> Tensor:
        """The row of each entry. Shape ``(entries,)``."""
        rows = torch.arange(len(self.start) - 1, device=self.start.device)
        return rows.repeat_interleave(self.counts)

    def slice(self, first: int, stop: int) -> "SparseRows":
        """The rows ``first`` to ``stop - 1``."""
        start = self.start[first : stop + 1]
        part = slice(int(start[0]), int(start[-1]))
        return SparseRows(start - start[0], self.column[part], self.value[part])


def from_entries(
    row: Tensor, column: Tensor, value: Tensor, num_rows: int
) -> SparseRows:
    """The matrix with these entries, which must be ordered by row."""
    counts = torch.bincount(row, minlength=num_rows)
    start = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    return SparseRows(start, column, value)


def transpose(matrix: SparseRows, num_columns: int) -> SparseRows:
    """Entry (i, j) becomes entry (j, i): for each column the list of the rows that have it."""
    column, order = matrix.column.sort(stable=True)
    return from_entries(column, matrix.row[order], matrix.value[order], num_columns)


def entries_of(matrix: SparseRows, rows: Tensor) -> Tuple[Tensor, Tensor]:
    """The entries of some rows, which may repeat: the place in ``rows`` that asked for each, and where it is."""
    counts = matrix.counts[rows]
    place = torch.arange(len(rows), device=rows.device).repeat_interleave(counts)
    first = matrix.start[rows] - (counts.cumsum(0) - counts)
    return place, first[place] + torch.arange(len(place), device=rows.device)


def in_pieces(matrix: SparseRows, length: int) -> SparseRows:
    """The matrix with its rows cut into pieces of equal length, which are copied as quickly as single entries.

    Returns:
        SparseRows: ``start`` counts pieces; columns and values are of shape ``(pieces, length)``, columns int32. The
        last piece of a row is filled up with zeros in column 0.
    """
    counts = (matrix.counts + (length - 1)) // length
    start = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    place = torch.arange(len(matrix.column), device=start.device)
    place += (start * length - matrix.start)[matrix.row]
    column = torch.zeros(
        int(start[-1]) * length, dtype=torch.int32, device=start.device
    )
    value = torch.zeros(len(column), device=start.device)
    column[place] = matrix.column.int()
    value[place] = matrix.value
    return SparseRows(start, column.view(-1, length), value.view(-1, length))


def sum_entries(key: Tensor, value: Tensor) -> Tuple[Tensor, Tensor]:
    """The different keys in order, and the sum of the values of each."""
    key, order = key.sort(stable=True)
    key, place = torch.unique_consecutive(key, return_inverse=True)
    total = torch.zeros(len(key), dtype=value.dtype, device=value.device)
    return key, total.index_add_(0, place, value[order])
