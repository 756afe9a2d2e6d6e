# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from torch import nn, Tensor
from torchmultimodal.modules.layers.normalizations import Fp32LayerNorm


class PredictionHead(nn.Module):
    """Predicts a masked patch or word from its token: dense, GELU, norm, output layer, as in BERT
    (https://arxiv.org/abs/1810.04805).

    It is called on the masked positions only, so that a vocabulary of 30,522 costs as many rows as words were masked.

    Args:
        d_model (int): Width of the tokens.
        out_dim (int): Vocabulary, codebook size, or values in a patch.
        layer_norm_eps (float): Epsilon of the norm. Default: 1e-5.

    Inputs:
        tokens (Tensor): Tokens of shape ``(m, d_model)``.

    Returns:
        Tensor: Predictions of shape ``(m, out_dim)``.
    """

    def __init__(
        self, d_model: int, out_dim: int, layer_norm_eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.dense = nn.Linear(d_model, d_model)
        self.activation = nn.GELU()
        self.norm = Fp32LayerNorm(d_model, eps=layer_norm_eps)
        self.output = nn.Linear(d_model, out_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.output(self.norm(self.activation(self.dense(tokens))))
