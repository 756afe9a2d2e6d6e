# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional

import torch
from torch import nn, Tensor
from torchmultimodal.modules.layers.normalizations import Fp32LayerNorm


class WordAndPositionEmbedding(nn.Module):
    """Learned words plus learned positions, normalised, dropped out, and zero at padding.

    The embedding of VirTex (https://arxiv.org/abs/2006.06666). TorchMultimodal's ``BERTTextEmbeddings`` adds token
    types and knows no offset, which a decoder that goes on from earlier tokens needs.

    Args:
        vocab_size (int): Ids of the tokeniser.
        max_length (int): Positions, that is tokens of the longest caption.
        d_model (int): Width of the tokens.
        dropout (float): After the norm. Default: 0.1
        layer_norm_eps (float): Epsilon of the norm. Default: 1e-8
        pad_id (int): Whose word is zero and learns nothing. Default: 0

    Inputs:
        text (Tensor): Token ids, long, of shape ``(b, s)``.
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding. Default: None, for no padding
        start (int): Position of the first token. Default: 0

    Returns:
        Tensor: Tokens of shape ``(b, s, d_model)``.

    Raises:
        ValueError: If the last token lies past the last position.
    """

    def __init__(
        self,
        vocab_size: int,
        max_length: int,
        d_model: int,
        dropout: float = 0.1,
        layer_norm_eps: float = 1e-8,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocab_size, d_model, padding_idx=pad_id)
        self.positions = nn.Embedding(max_length, d_model)
        self.norm = Fp32LayerNorm(d_model, eps=layer_norm_eps)
        self.dropout = nn.Dropout(dropout)

    @property
    def max_length(self) -> int:
        """The longest caption in tokens."""
        return self.positions.num_embeddings

    def forward(
        self, text: Tensor, text_padding: Optional[Tensor] = None, start: int = 0
    ) -> Tensor:
        stop = start + text.shape[1]
        if stop > self.max_length:
            raise ValueError(
                f"captions have {stop} tokens, but there are positions for {self.max_length}; truncate them to that "
                "length or build the model with a larger max_text_length"
            )
        positions = self.positions(torch.arange(start, stop, device=text.device))
        tokens = self.dropout(self.norm(self.words(text) + positions))
        if text_padding is None:
            return tokens
        return tokens.masked_fill(text_padding.unsqueeze(-1), 0.0)
