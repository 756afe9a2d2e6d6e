# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import torch
from torch.testing import assert_close
from torchmultimodal_reid.modules.masking.selection import (
    gather_tokens,
    select_tokens,
    TokenSelection,
)


def test_as_many_in_each_row():
    chosen = torch.tensor([[True, False, True], [False, True, True]])
    index, padding = select_tokens(chosen)
    assert index.tolist() == [[0, 2], [1, 2]] and padding is None


def test_rows_with_fewer_are_filled_up():
    chosen = torch.tensor([[False, False, True, True], [False, True, False, False]])
    index, padding = select_tokens(chosen)
    assert index[0].tolist() == [2, 3] and index[1, 0] == 1
    assert padding.tolist() == [[False, False], [False, True]]


def test_none_at_all():
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    index, padding = select_tokens(nothing)
    assert index.shape == (2, 0) and padding is None
    index, padding = select_tokens(nothing, at_least=1)
    assert index.shape == (2, 1) and padding.all()


def test_gather():
    tokens = torch.arange(12.0).view(2, 3, 2).requires_grad_()
    selection = TokenSelection(torch.tensor([[2, 0], [1, 1]]), None)
    got = gather_tokens(tokens, selection)
    assert got.tolist() == [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]
    got.sum().backward()
    expected = torch.tensor([[1.0, 0, 1], [0, 2, 0]]).unsqueeze(-1).expand(2, 3, 2)
    assert_close(tokens.grad, expected)
