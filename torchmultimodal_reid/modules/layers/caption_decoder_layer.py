# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Callable, NamedTuple, Optional

from torch import nn, Tensor
from torchmultimodal.modules.layers.normalizations import Fp32LayerNorm
from torchmultimodal_reid.modules.layers.cached_attention import (
    CachedCrossAttention,
    CachedSelfAttention,
    KeyValue,
)
from torchmultimodal_reid.modules.layers.packed_tokens import Places


class DecoderLayerOutput(NamedTuple):
    tokens: Tensor  # shape: (rows, s, d_model), or (m, d_model) where they are packed
    past: KeyValue  # of these tokens and all before them


class CaptionDecoderLayer(nn.Module):
    """A transformer decoder layer: self-attention, cross-attention, feed-forward with GELU.

    It computes what ``torch.nn.TransformerDecoderLayer`` does (https://arxiv.org/abs/1706.03762), with a cache for
    decoding: keys and values of earlier tokens grow, those of the memory are projected once. TorchMultimodal's
    ``TransformerDecoderLayer`` projects the memory again at every token, and its ``MLP`` names its weights otherwise
    with dropout than without.

    Args:
        d_model (int): Width of the tokens and of the memory.
        n_head (int): Heads of each attention.
        dim_feedforward (int): Width of the feed-forward block.
        dropout (float): Of attention weights, of the feed-forward block's inner and of each block's output.
            Default: 0.1
        norm_first (bool): Norms before the blocks instead of after. Default: False
        layer_norm_eps (float): Epsilon of the norms. Default: 1e-5

    Inputs:
        tokens (Tensor): Of shape ``(k * b, s, d_model)``.
        memory (KeyValue): Of ``b`` rows, from :meth:`project`.
        attend (Optional[Tensor]), causal (bool), past (Optional[KeyValue]), places (Optional[Places]): See
            :class:`~torchmultimodal_reid.modules.layers.cached_attention.CachedSelfAttention`.

    Raises:
        ValueError: If ``n_head`` does not divide ``d_model``.
    """

    def __init__(
        self,
        d_model: int,
        n_head: int,
        dim_feedforward: int,
        dropout: float = 0.1,
        norm_first: bool = False,
        layer_norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.attention = CachedSelfAttention(d_model, n_head, dropout)
        self.attention_norm = Fp32LayerNorm(d_model, eps=layer_norm_eps)
        self.cross_attention = CachedCrossAttention(d_model, n_head, dropout)
        self.cross_attention_norm = Fp32LayerNorm(d_model, eps=layer_norm_eps)
        self.feedforward = nn.ModuleDict(
            {
                "inner": nn.Linear(d_model, dim_feedforward),
                "outer": nn.Linear(dim_feedforward, d_model),
            }
        )
        self.feedforward_norm = Fp32LayerNorm(d_model, eps=layer_norm_eps)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(
        self,
        tokens: Tensor,
        memory: KeyValue,
        attend: Optional[Tensor] = None,
        causal: bool = False,
        past: Optional[KeyValue] = None,
        places: Optional[Places] = None,
    ) -> DecoderLayerOutput:
        normed = self.attention_norm(tokens) if self.norm_first else tokens
        attended, past = self.attention(normed, attend, causal, past, places)
        tokens = tokens + self.dropout(attended)
        if not self.norm_first:
            tokens = self.attention_norm(tokens)
        tokens = self._residual(
            tokens,
            self.cross_attention_norm,
            lambda normed: self.cross_attention(normed, memory, places),
        )
        tokens = self._residual(tokens, self.feedforward_norm, self._feed_forward)
        return DecoderLayerOutput(tokens, past)

    def project(self, memory: Tensor) -> KeyValue:
        """What ``forward`` reads of a memory of shape ``(b, n, d_model)``."""
        return self.cross_attention.project(memory)

    def _residual(
        self, tokens: Tensor, norm: nn.Module, block: Callable[[Tensor], Tensor]
    ) -> Tensor:
        if self.norm_first:
            return tokens + self.dropout(block(norm(tokens)))
        return norm(tokens + self.dropout(block(tokens)))

    def _feed_forward(self, tokens: Tensor) -> Tensor:
        inner = self.dropout(self.activation(self.feedforward["inner"](tokens)))
        return self.feedforward["outer"](inner)
