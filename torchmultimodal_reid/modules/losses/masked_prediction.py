# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from torch import nn, Tensor
from torch.nn import functional as F
from torchmultimodal_reid.modules.losses.summed_cross_entropy import (
    at_least_float,
    summed_cross_entropy,
)


class MaskedRegressionLoss(nn.Module):
    """Mean squared error at the masked positions, 0 with a gradient path where nothing was masked.

    Reference: https://arxiv.org/abs/2111.06377.

    Inputs:
        prediction (Tensor): Predictions at the masked positions of shape ``(m, c)``.
        target (Tensor): Targets at the same positions of shape ``(m, c)``.

    Returns:
        Tensor: Scalar, float32 or better, the mean over positions and channels.

    Raises:
        ValueError: If the two shapes differ.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        if prediction.shape != target.shape:
            raise ValueError(
                f"prediction and target must have the same shape, got {tuple(prediction.shape)} "
                f"and {tuple(target.shape)}"
            )
        # in half precision the sum below would overflow or lose what it adds
        error = F.mse_loss(
            at_least_float(prediction), at_least_float(target), reduction="sum"
        )
        return error / max(prediction.numel(), 1)


class MaskedClassificationLoss(nn.Module):
    """Cross-entropy at the masked positions, 0 with a gradient path where nothing was masked.

    Reference: https://arxiv.org/abs/1810.04805. For words and for the indices of an image codebook.

    Inputs:
        logits (Tensor): Logits at the masked positions of shape ``(m, v)``.
        target (Tensor): Classes at the same positions, long, of shape ``(m,)``.

    Returns:
        Tensor: Scalar, float32 or better, the mean over positions.

    Raises:
        ValueError: If the shapes do not fit.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        if logits.dim() != 2 or target.shape != logits.shape[:1]:
            raise ValueError(
                f"logits must be (m, classes) and target (m,), got {tuple(logits.shape)} and {tuple(target.shape)}"
            )
        return summed_cross_entropy(logits, target) / max(logits.shape[0], 1)
