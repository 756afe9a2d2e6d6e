# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional, Tuple

import torch
from torch import nn, Tensor
from torch.nn import functional as F
from torchmultimodal_reid.modules.layers.packed_tokens import Places


class KeyValue(NamedTuple):
    """Keys and values that an attention may read again."""

    key: Tensor  # shape: (rows, n_head, n, head_dim)
    value: Tensor  # shape: (rows, n_head, n, head_dim)

    def select(self, rows: Tensor) -> "KeyValue":
        """Those of the given rows, in their order; ``rows`` is long, and may name a row twice."""
        return KeyValue(self.key[rows], self.value[rows])


class CachedSelfAttention(nn.Module):
    """Attention of tokens to each other and to those of earlier calls, by ``scaled_dot_product_attention``.

    TorchMultimodal's ``MultiHeadAttentionWithCache`` projects query, key and value by three products and cannot keep
    what a cross-attention projected; see :class:`CachedCrossAttention`.

    Args:
        d_model (int): Width of the tokens.
        n_head (int): Number of heads.
        dropout (float): Of the attention weights, while training. Default: 0.0

    Inputs:
        tokens (Tensor): Of shape ``(rows, s, d_model)``.
        attend (Optional[Tensor]): Bool that broadcasts to ``(rows, n_head, s, s)``, True where attention may look.
            Default: None, everywhere
        causal (bool): Each token sees those before it and itself alone; not together with ``attend``. Default: False
        past (Optional[KeyValue]): Of all earlier tokens; then ``tokens`` is the next one, ``s`` being 1. Default: None
        places (Optional[Places]): Where the tokens stand that ``tokens``, of shape ``(m, d_model)``, are. What they may
            not look at need not be among them. Default: None, they are padded

    Returns:
        Tuple[Tensor, KeyValue]: Tokens of the same shape, and the keys and values of them and all before them.

    Raises:
        ValueError: If ``n_head`` does not divide ``d_model``.
    """

    def __init__(self, d_model: int, n_head: int, dropout: float = 0.0) -> None:
        super().__init__()
        check_heads(d_model, n_head)
        self.input_proj = nn.Linear(d_model, 3 * d_model)
        self.output_proj = nn.Linear(d_model, d_model)
        self.n_head = n_head
        self.dropout = dropout

    def forward(
        self,
        tokens: Tensor,
        attend: Optional[Tensor] = None,
        causal: bool = False,
        past: Optional[KeyValue] = None,
        places: Optional[Places] = None,
    ) -> Tuple[Tensor, KeyValue]:
        assert past is None or tokens.shape[1] == 1, "the cache grows token by token"
        projected = self.input_proj(tokens)
        if places is not None:
            projected = places.pad(projected)
        query, key, value = (
            split_heads(part, self.n_head) for part in projected.chunk(3, dim=-1)
        )
        if past is not None:
            key = torch.cat([past.key, key], dim=2)
            value = torch.cat([past.value, value], dim=2)
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attend,
            dropout_p=self.dropout if self.training else 0.0,
            # the next token sees all before it, so it needs no mask
            is_causal=causal and past is None,
        )
        joined = join_heads(attended)
        if places is not None:
            joined = places.pack(joined)
        return self.output_proj(joined), KeyValue(key, value)


class CachedCrossAttention(nn.Module):
    """Attention of tokens to a memory whose keys and values are projected once, by ``scaled_dot_product_attention``.

    There may be several rows of tokens for each row of the memory, such as the beams of an image: they are adjacent,
    and read the same keys and values without a copy.

    Args:
        d_model (int): Width of the tokens and of the memory.
        n_head (int): Number of heads.
        dropout (float): Of the attention weights, while training. Default: 0.0

    Inputs:
        tokens (Tensor): Of shape ``(k * b, s, d_model)``.
        memory (KeyValue): From :meth:`project`, of ``b`` rows.
        places (Optional[Places]): Where the tokens stand that ``tokens``, of shape ``(m, d_model)``, are. Default:
            None, they are padded

    Returns:
        Tensor: Of the tokens' shape.

    Raises:
        ValueError: If ``n_head`` does not divide ``d_model``.
    """

    def __init__(self, d_model: int, n_head: int, dropout: float = 0.0) -> None:
        super().__init__()
        check_heads(d_model, n_head)
        self.query_proj = nn.Linear(d_model, d_model)
        self.key_value_proj = nn.Linear(d_model, 2 * d_model)
        self.output_proj = nn.Linear(d_model, d_model)
        self.n_head = n_head
        self.dropout = dropout

    def project(self, memory: Tensor) -> KeyValue:
        """Keys and values of a memory of shape ``(b, n, d_model)``."""
        key, value = self.key_value_proj(memory).chunk(2, dim=-1)
        return KeyValue(
            split_heads(key, self.n_head).contiguous(),
            split_heads(value, self.n_head).contiguous(),
        )

    def forward(
        self, tokens: Tensor, memory: KeyValue, places: Optional[Places] = None
    ) -> Tensor:
        query = self.query_proj(tokens)
        if places is not None:
            query = places.pad(query)
        # a query looks at the memory only, so the tokens of an image's rows may stand behind each other
        grouped = query.view(memory.key.shape[0], -1, query.shape[-1])
        attended = F.scaled_dot_product_attention(
            split_heads(grouped, self.n_head),
            memory.key,
            memory.value,
            dropout_p=self.dropout if self.training else 0.0,
        )
        joined = join_heads(attended).view(query.shape)
        if places is not None:
            joined = places.pack(joined)
        return self.output_proj(joined)


def split_heads(tokens: Tensor, n_head: int) -> Tensor:
    """``(b, n, d)`` -> ``(b, n_head, n, d / n_head)``."""
    b, n, d = tokens.shape
    return tokens.view(b, n, n_head, d // n_head).transpose(1, 2)


def join_heads(tokens: Tensor) -> Tensor:
    """``(b, n_head, n, head_dim)`` -> ``(b, n, n_head * head_dim)``."""
    return tokens.transpose(1, 2).flatten(2)


def check_heads(d_model: int, n_head: int) -> None:
    """Raises a ValueError unless ``n_head`` divides ``d_model``."""
    if n_head < 1 or d_model % n_head:
        raise ValueError(f"d_model {d_model} is not a multiple of n_head {n_head}")
