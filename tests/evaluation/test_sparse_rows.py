# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.sparse_rows import (
    entries_of,
    from_entries,
    in_pieces,
    SparseRows,
    sum_entries,
    transpose,
)

# the second row is empty
DENSE = torch.tensor([[0.0, 2.0, 3.0], [0.0, 0.0, 0.0], [4.0, 0.0, 5.0]])


def sparse(dense: Tensor) -> SparseRows:
    row, column = dense.nonzero(as_tuple=True)
    return from_entries(row, column, dense[row, column], len(dense))


def dense(matrix: SparseRows, num_columns: int) -> Tensor:
    result = torch.zeros(len(matrix.start) - 1, num_columns)
    result[matrix.row, matrix.column] = matrix.value
    return result


def test_rows() -> None:
    matrix = sparse(DENSE)
    assert matrix.start.tolist() == [0, 2, 2, 4]
    assert matrix.counts.tolist() == [2, 0, 2]
    assert torch.equal(dense(matrix, 3), DENSE)
    assert torch.equal(dense(matrix.slice(1, 3), 3), DENSE[1:])


def test_transpose() -> None:
    assert torch.equal(dense(transpose(sparse(DENSE), 3), 3), DENSE.T)
    # columns that no row has
    assert transpose(sparse(DENSE), 5).counts.tolist() == [1, 1, 2, 0, 0]


def test_entries_of_repeated_rows() -> None:
    matrix = sparse(DENSE)
    place, entry = entries_of(matrix, torch.tensor([2, 1, 0, 2]))
    assert place.tolist() == [0, 0, 2, 2, 3, 3]
    assert matrix.value[entry].tolist() == [4, 5, 2, 3, 4, 5]


def test_rows_in_pieces() -> None:
    pieces = in_pieces(sparse(torch.tensor([[1.0, 2, 0, 3], [0] * 4, [0, 0, 0, 7]])), 2)
    assert pieces.start.tolist() == [0, 2, 2, 3]
    assert pieces.column.tolist() == [[0, 1], [3, 0], [3, 0]]
    assert pieces.value.tolist() == [[1, 2], [3, 0], [7, 0]]
    place, piece = entries_of(pieces, torch.tensor([2, 0, 1]))
    assert place.tolist() == [0, 1, 1] and piece.tolist() == [2, 0, 1]
    assert in_pieces(sparse(torch.zeros(2, 2)), 4).value.shape == (0, 4)


def test_sum_entries() -> None:
    key, value = sum_entries(
        torch.tensor([7, 2, 7, 3]), torch.tensor([1.0, 2.0, 4.0, 8.0])
    )
    assert key.tolist() == [2, 3, 7]
    assert value.tolist() == [2, 8, 5]
