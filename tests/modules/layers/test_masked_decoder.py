# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torchmultimodal_reid.modules.layers.masked_decoder import (
    CrossAttentionLayer,
    masked_rows,
    MaskedTokenDecoder,
    MaskTokens,
)
from torchmultimodal_reid.modules.masking.selection import TokenSelection


def test_a_mask_token_knows_its_place():
    positions = torch.arange(8.0).view(1, 4, 2)
    tokens = MaskTokens(positions)
    with torch.no_grad():
        tokens.mask_token.fill_(10.0)
    places = torch.tensor([[3, 1], [0, 0]])
    expected = torch.tensor([[[6.0, 7.0], [2.0, 3.0]], [[0.0, 1.0], [0.0, 1.0]]])
    assert torch.equal(tokens.positions(places), expected)
    assert torch.equal(tokens(places), expected + 10)


def test_it_starts_from_a_copy_of_the_positions():
    positions = torch.ones(1, 4, 2)
    tokens = MaskTokens(positions)
    with torch.no_grad():
        tokens.position_embeddings.zero_()
    assert torch.equal(positions, torch.ones(1, 4, 2))


@pytest.fixture
def layer():
    """A layer whose queries ask for nothing: every memory token is as near as the next."""
    layer = CrossAttentionLayer(d_model=4, n_head=2, dim_feedforward=8)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        layer.memory_proj.weight[4:] = torch.eye(4)  # values are the memory itself
        layer.output_proj.weight.copy_(torch.eye(4))
    return layer


def test_a_query_adds_the_mean_of_the_memory(layer):
    queries = torch.arange(8.0).view(1, 2, 4)
    memory = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [3.0, 2.0, 1.0, 0.0]]])
    expected = queries + 2
    torch.testing.assert_close(layer(queries, memory), expected)


def test_queries_do_not_look_at_each_other():
    torch.manual_seed(0)
    layer = CrossAttentionLayer(d_model=4, n_head=2, dim_feedforward=8)
    queries, memory = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    both = layer(queries, memory)
    alone = layer(queries[:, 1:2], memory)
    torch.testing.assert_close(both[:, 1:2], alone)


def test_padding_is_not_looked_at(layer):
    decoder = MaskedTokenDecoder(nn.Identity(), [layer], nn.Identity())
    queries = torch.zeros(1, 1, 4)
    tokens = torch.tensor([[[2.0] * 4, [4.0] * 4, [100.0] * 4]])
    positions = torch.ones(1, 3, 4)
    padding = torch.tensor([[False, False, True]])
    decoded = decoder(queries, tokens, positions, padding)
    # the mean of 2 and 4, and one for the position
    torch.testing.assert_close(decoded, torch.full((1, 1, 4), 4.0))
    decoded = decoder(queries, tokens[:, :2], positions[:, :2])
    torch.testing.assert_close(decoded, torch.full((1, 1, 4), 4.0))


def test_rows_of_the_hidden_tokens():
    decoded = torch.arange(12.0).view(2, 3, 2)
    places = torch.zeros(2, 3, dtype=torch.long)
    whole = TokenSelection(places, None)
    assert torch.equal(masked_rows(decoded, whole), decoded.view(6, 2))
    padding = torch.tensor([[False, False, True], [False, True, True]])
    some = masked_rows(decoded, TokenSelection(places, padding))
    assert torch.equal(some, torch.tensor([[0.0, 1.0], [2.0, 3.0], [6.0, 7.0]]))
