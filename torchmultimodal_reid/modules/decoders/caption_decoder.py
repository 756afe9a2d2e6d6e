# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, cast, Iterable, NamedTuple, Optional, Tuple

import torch
from torch import nn, Tensor
from torchmultimodal_reid.modules.layers.attend_mask import attend_mask
from torchmultimodal_reid.modules.layers.cached_attention import KeyValue
from torchmultimodal_reid.modules.layers.packed_tokens import Places


class DecoderCache(NamedTuple):
    """What a decoder keeps from one token to the next."""

    memory: Tuple[KeyValue, ...]  # a layer, of the image's grid; b rows
    past: Tuple[KeyValue, ...]  # a layer, of the tokens so far; empty before the first

    @property
    def length(self) -> int:
        """Tokens so far."""
        return self.past[0].key.shape[2] if self.past else 0

    def select(self, rows: Tensor) -> "DecoderCache":
        """The cache for other rows of tokens, each going on from one of those so far; an image's rows stay adjacent.

        Args:
            rows (Tensor): Long of shape ``(k * b,)``: which row each new one goes on from.
        """
        return self._replace(past=tuple(layer.select(rows) for layer in self.past))


class CaptionDecoder(nn.Module):
    """A transformer over the tokens of a caption that looks at an image's grid.

    One direction of VirTex's textual head (https://arxiv.org/abs/2006.06666), between its embedding and its output
    layer.

    Args:
        layers (Iterable[nn.Module]): One or more that have ``forward`` and ``project`` of
            :class:`~torchmultimodal_reid.modules.layers.caption_decoder_layer.CaptionDecoderLayer`.
        norm (Optional[nn.Module]): The final norm, which pre-norm layers need. Default: None
        causal (bool): Each token sees those before it alone; False for masked language modelling. Default: True

    Inputs:
        tokens (Tensor): Of shape ``(b, s, d)``.
        grid (Tensor): The image's cells, of shape ``(b, n, d)``.
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding. A causal decoder does without:
            what stands behind a token changes nothing at it. Default: None

    Returns:
        Tensor: Of the tokens' shape; anything finite at padding.

    Raises:
        ValueError: If :meth:`at` is asked of a decoder that is not causal.
    """

    def __init__(
        self,
        layers: Iterable[nn.Module],
        norm: Optional[nn.Module] = None,
        causal: bool = True,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        self.causal = causal

    def forward(
        self, tokens: Tensor, grid: Tensor, text_padding: Optional[Tensor] = None
    ) -> Tensor:
        attend = None
        if not self.causal and text_padding is not None:
            # attention to nothing is NaN, so a caption of padding alone looks at its first token
            first = torch.arange(text_padding.shape[1], device=text_padding.device) == 0
            attend = attend_mask(text_padding & ~first)
        for layer, memory in zip(self.layers, self._memory(grid)):
            tokens = layer(tokens, memory, attend, self.causal).tokens
        return tokens if self.norm is None else self.norm(tokens)

    def at(self, tokens: Tensor, grid: Tensor, counts: Tensor) -> Tensor:
        """What ``forward`` gives at the first tokens of each caption, computing nothing at those behind them.

        Args:
            tokens (Tensor): Of shape ``(b, s, d)``.
            grid (Tensor): The image's cells, of shape ``(b, n, d)``.
            counts (Tensor): Bool of shape ``(b, s)``, True at the first tokens of a caption, as many as it has.

        Returns:
            Tensor: Of shape ``(m, d)``, those of all captions behind each other.
        """
        if not self.causal:
            raise ValueError(
                "a decoder that is not causal looks at all tokens: call it with text_padding"
            )
        places = Places.of(counts)
        packed = places.pack(tokens)
        for layer, memory in zip(self.layers, self._memory(grid)):
            packed = layer(packed, memory, causal=True, places=places).tokens
        return packed if self.norm is None else self.norm(packed)

    def start(self, grid: Tensor) -> DecoderCache:
        """The cache before the first token, for a grid of shape ``(b, n, d)``."""
        return DecoderCache(self._memory(grid), ())

    def step(self, tokens: Tensor, cache: DecoderCache) -> Tuple[Tensor, DecoderCache]:
        """The next token of each row, without computing anything again for those before it.

        Args:
            tokens (Tensor): Of shape ``(k * b, 1, d)``, the ``k`` rows of an image being adjacent.
            cache (DecoderCache): From :meth:`start` or the step before.

        Returns:
            Tuple[Tensor, DecoderCache]: Of the tokens' shape, what ``forward`` gives there; and the cache after it.
        """
        assert self.causal, "only a causal decoder writes token by token"
        past = []
        for number, layer in enumerate(self.layers):
            tokens, grown = layer(
                tokens,
                cache.memory[number],
                causal=True,
                past=cache.past[number] if cache.past else None,
            )
            past.append(grown)
        if self.norm is not None:
            tokens = self.norm(tokens)
        return tokens, DecoderCache(cache.memory, tuple(past))

    def _memory(self, grid: Tensor) -> Tuple[KeyValue, ...]:
        return tuple(cast(Any, layer).project(grid) for layer in self.layers)
