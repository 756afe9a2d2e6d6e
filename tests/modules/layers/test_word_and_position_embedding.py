# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.modules.layers.word_and_position_embedding import (
    WordAndPositionEmbedding,
)


@pytest.fixture
def embedding():
    embedding = WordAndPositionEmbedding(4, 3, 2, dropout=0.5).eval()
    with torch.no_grad():
        embedding.words.weight.copy_(
            torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [5.0, 5.0]])
        )
        embedding.positions.weight.copy_(
            torch.tensor([[0.0, 0.0], [2.0, 9.0], [9.0, 2.0]])
        )
    return embedding


def test_words_and_positions_normalised(embedding):
    # of two values the norm leaves only which one is the larger
    tokens = embedding(torch.tensor([[1, 1, 2]]))
    expected = torch.tensor([[[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]]])
    torch.testing.assert_close(tokens, expected)


def test_padding_is_zero(embedding):
    padding = torch.tensor([[False, True, True]])
    tokens = embedding(torch.tensor([[1, 0, 2]]), padding)
    assert torch.equal(tokens[0, 1:], torch.zeros(2, 2))
    assert tokens[0, 0].abs().sum() > 0


def test_it_goes_on_from_a_position(embedding):
    whole = embedding(torch.tensor([[1, 1, 2]]))
    assert torch.equal(embedding(torch.tensor([[1, 2]]), start=1), whole[:, 1:])


def test_the_word_of_padding_learns_nothing(embedding):
    embedding(torch.tensor([[0, 1]])).square().sum().backward()
    assert torch.equal(embedding.words.weight.grad[0], torch.zeros(2))


def test_too_long(embedding):
    for text, start in ((torch.ones(1, 4).long(), 0), (torch.ones(1, 2).long(), 2)):
        with pytest.raises(ValueError, match="4 tokens, .* positions for 3; truncate"):
            embedding(text, start=start)
