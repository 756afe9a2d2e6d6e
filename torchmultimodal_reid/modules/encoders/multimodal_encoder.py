# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional

import torch
from torch import nn, Tensor
from torchmultimodal_reid.modules.layers.attend_mask import attend_mask


class MultimodalTransformerEncoder(nn.Module):
    """A transformer over [CLS_M] and whatever tokens there are: of an image, of a caption, or of both.

    The multimodal encoder of FLAVA (https://arxiv.org/abs/2112.04482). It has no positions of its own, since the
    unimodal encoders have already told them.

    Args:
        encoder (nn.Module): Transformer over the tokens, without a final norm.
        norm (nn.Module): The final norm.
        d_model (int): Width of the tokens.

    Inputs:
        tokens (Tensor): Projected tokens of shape ``(b, n, d_model)``.
        padding (Optional[Tensor]): Bool of shape ``(b, n)``, True at padding.

    Returns:
        Tensor: Tokens of shape ``(b, 1 + n, d_model)`` after the final norm, [CLS_M] first.
    """

    def __init__(self, encoder: nn.Module, norm: nn.Module, d_model: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, d_model))
        self.encoder = encoder
        self.norm = norm

    def forward(self, tokens: Tensor, padding: Optional[Tensor] = None) -> Tensor:
        # in its own precision, so that the stream is float32 also where autocast made the tokens bfloat16
        cls_token = self.cls_token.expand(tokens.shape[0], -1, -1)
        if padding is not None:
            padding = nn.functional.pad(padding, (1, 0), value=False)
        hidden = self.encoder(
            torch.cat([cls_token, tokens], dim=1), attend_mask(padding)
        ).last_hidden_state
        return self.norm(hidden)
