# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional

import torch
from torch import nn, Tensor
from torchmultimodal_reid.modules.losses.masked_prediction import (
    MaskedClassificationLoss,
)
from torchmultimodal_reid.modules.masking.draws import Draws, uniform


@torch.no_grad()
def hard_negatives(
    similarity: Tensor,
    row_identity: Tensor,
    column_identity: Tensor,
    generator: Optional[Draws] = None,
) -> Tensor:
    """Draws for each row a column of another identity, the likelier the more similar the two are.

    Reference: https://arxiv.org/abs/2107.07651. The probabilities are the softmax of the row over the columns of other
    identities, drawn by the Gumbel-max trick, which neither overflows nor underflows.

    Args:
        similarity (Tensor): Logits of shape ``(b, c)``, such as cosines times the scale of the contrastive loss.
        row_identity (Tensor): Identities of shape ``(b,)``.
        column_identity (Tensor): Identities of shape ``(c,)``.
        generator (Optional[Draws]): Source of the draws, on any device. Default: None, torch's global one

    Returns:
        Tensor: Columns, long, of shape ``(b,)``; -1 in rows where no column has another identity.

    Raises:
        ValueError: If the shapes do not fit.
    """
    if similarity.shape != (row_identity.numel(), column_identity.numel()):
        raise ValueError(
            f"similarity must be (rows, columns) = ({row_identity.numel()}, {column_identity.numel()}) as the "
            f"identities say, got {tuple(similarity.shape)}"
        )
    if similarity.numel() == 0:
        return torch.full_like(row_identity, -1, dtype=torch.long)
    limits = torch.finfo(torch.float32)
    # finite, so that an excluded column can never win
    logits = similarity.float().clamp(limits.min / 2, limits.max / 2)
    noise = uniform(similarity.shape, generator, similarity.device).clamp(
        min=limits.tiny
    )
    other = row_identity.unsqueeze(1) != column_identity.unsqueeze(0)
    scores = (logits - torch.log(-torch.log(noise))).masked_fill(~other, float("-inf"))
    return scores.argmax(dim=1).masked_fill(~other.any(dim=1), -1)


class ImageTextMatchingLoss(nn.Module):
    """Cross-entropy of whether an image and a caption belong together, 0 with a gradient path where there are none.

    Reference: https://arxiv.org/abs/2107.07651.

    Inputs:
        logits (Tensor): Of shape ``(m, 2)``, the second column stands for a match.
        is_match (Tensor): Bool of shape ``(m,)``.

    Returns:
        Tensor: Scalar, the mean over the ``m`` pairs.

    Raises:
        ValueError: If the shapes do not fit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cross_entropy = MaskedClassificationLoss()

    def forward(self, logits: Tensor, is_match: Tensor) -> Tensor:
        if (
            logits.dim() != 2
            or logits.shape[1] != 2
            or is_match.shape != logits.shape[:1]
        ):
            raise ValueError(
                f"logits must be (m, 2) and is_match (m,), got {tuple(logits.shape)} and {tuple(is_match.shape)}"
            )
        return self.cross_entropy(logits, is_match.long())
