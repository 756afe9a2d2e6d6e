# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional, Sequence

import torch
from torch import nn, Tensor
from torchmultimodal.modules.layers.mlp import MLP
from torchmultimodal.modules.layers.normalizations import Fp32LayerNorm
from torchmultimodal_reid.modules.layers.attend_mask import attend_mask
from torchmultimodal_reid.modules.masking.selection import TokenSelection


class MaskTokens(nn.Module):
    """A mask token that knows the places of one modality: what a decoder asks with, one for each hidden token.

    Args:
        positions (Tensor): Position embeddings to start from, of shape ``(1, n, d)``, [CLS]'s place first.
    """

    def __init__(self, positions: Tensor) -> None:
        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(1, 1, positions.shape[-1]))
        self.position_embeddings = nn.Parameter(positions.clone())

    def positions(self, places: Tensor) -> Tensor:
        """Position embeddings of shape ``(b, k, d)`` at ``places`` ``(b, k)``."""
        return nn.functional.embedding(places, self.position_embeddings[0])

    def forward(self, places: Tensor) -> Tensor:
        return self.mask_token + self.positions(places)


class CrossAttentionLayer(nn.Module):
    """A pre-norm layer in which queries look at a memory, and not at each other.

    Args:
        d_model (int): Width of queries and memory.
        n_head (int): Attention heads.
        dim_feedforward (int): Width within the feed-forward block.
        layer_norm_eps (float): Epsilon of the norms. Default: 1e-12.

    Inputs:
        queries (Tensor): Of shape ``(b, k, d_model)``.
        memory (Tensor): Of shape ``(b, n, d_model)``.
        attend (Optional[Tensor]): From :func:`~torchmultimodal_reid.modules.layers.attend_mask.attend_mask`.
    """

    def __init__(
        self,
        d_model: int,
        n_head: int,
        dim_feedforward: int,
        layer_norm_eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.n_head = n_head
        self.attention_layernorm = Fp32LayerNorm(d_model, eps=layer_norm_eps)
        self.query_proj = nn.Linear(d_model, d_model)
        self.memory_proj = nn.Linear(d_model, 2 * d_model)
        self.output_proj = nn.Linear(d_model, d_model)
        self.feedforward_layernorm = Fp32LayerNorm(d_model, eps=layer_norm_eps)
        self.feedforward = MLP(
            d_model, d_model, dim_feedforward, dropout=0.0, activation=nn.GELU
        )

    def forward(
        self, queries: Tensor, memory: Tensor, attend: Optional[Tensor] = None
    ) -> Tensor:
        query = self._heads(self.query_proj(self.attention_layernorm(queries)))
        key, value = map(self._heads, self.memory_proj(memory).chunk(2, dim=-1))
        seen = nn.functional.scaled_dot_product_attention(query, key, value, attend)
        queries = queries + self.output_proj(seen.transpose(1, 2).flatten(2))
        return queries + self.feedforward(self.feedforward_layernorm(queries))

    def _heads(self, tokens: Tensor) -> Tensor:
        # shape: (b, n_head, n, d_model / n_head)
        return tokens.unflatten(-1, (self.n_head, -1)).transpose(1, 2)


class MaskedTokenDecoder(nn.Module):
    """Tokens at the hidden places, from what an encoder made of the visible ones.

    A light decoder, as in MAE (https://arxiv.org/abs/2111.06377). Mask tokens look at the visible tokens alone, as in
    CrossMAE (https://arxiv.org/abs/2401.14391): in one layer a mask token has nothing to tell another, and nothing
    is computed at the visible places, which no loss reads.

    Args:
        projection (nn.Module): From the encoder's width to the decoder's.
        layers (Sequence[nn.Module]): Such as :class:`CrossAttentionLayer`.
        norm (nn.Module): The final norm.

    Inputs:
        queries (Tensor): Mask tokens with their places, of shape ``(b, k, d)``.
        tokens (Tensor): The encoder's, of shape ``(b, n, c)``.
        positions (Tensor): Position embeddings of these tokens, of shape ``(b, n, d)``.
        padding (Optional[Tensor]): Bool of shape ``(b, n)``, True at padding among these tokens.

    Returns:
        Tensor: Of shape ``(b, k, d)``.
    """

    def __init__(
        self, projection: nn.Module, layers: Sequence[nn.Module], norm: nn.Module
    ) -> None:
        super().__init__()
        self.projection = projection
        self.layers = nn.ModuleList(layers)
        self.norm = norm

    def forward(
        self,
        queries: Tensor,
        tokens: Tensor,
        positions: Tensor,
        padding: Optional[Tensor] = None,
    ) -> Tensor:
        memory = self.projection(tokens) + positions
        attend = attend_mask(padding)
        for layer in self.layers:
            queries = layer(queries, memory, attend)
        return self.norm(queries)


def masked_rows(decoded: Tensor, masked: TokenSelection) -> Tensor:
    """The rows ``(m, d)`` of ``decoded`` ``(b, k, d)`` that stand for hidden tokens, sample by sample."""
    return decoded.flatten(0, 1) if masked.padding is None else decoded[~masked.padding]
