# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional, Union

import torch
from torch import nn, Tensor
from torch.nn import functional as F


class GatheredPairs(NamedTuple):
    """The pairs of all processes, to be told apart from this process's own.

    ``offset`` is where the process's own pairs begin: its pair ``i`` is the pair ``offset + i`` here.
    """

    image_embedding: Tensor  # (B, d)
    text_embedding: Tensor  # (B, d)
    image_identity: Tensor  # (B,)
    text_identity: Tensor  # (B,)
    offset: int = 0


class IdentityContrastiveLoss(nn.Module):
    """Contrasts images with captions, both ways, where the caption of the same person is never a negative.

    Reference: https://arxiv.org/abs/2103.00020 for the symmetric loss, https://arxiv.org/abs/2303.12501 for targets
    by identity. All is computed in float32, also under autocast: a bfloat16 logit of 20 is only known to 0.1.

    Args:
        same_identity (str): What a caption of the same identity that is not an image's own is. "positive": as good as
            its own, the targets are uniform over all of the identity. "ignore": neither positive nor negative, it is
            left out of the denominator. Default: "positive"
        own_pair (str): The same of an image's own caption. "ignore" contrasts images with one another, or captions,
            given as both sides (the supervised contrastive loss, https://arxiv.org/abs/2004.11362), or any two sides
            of which a row would find its own pair without learning anything. Default: "positive"

    Inputs:
        image_embedding (Tensor): Of shape ``(b, d)``; L2-normalised here.
        text_embedding (Tensor): Of shape ``(b, d)``, row ``i`` is the pair of image ``i``; L2-normalised here.
        image_identity (Tensor): Identities of shape ``(b,)``.
        text_identity (Tensor): Identities of shape ``(b,)``.
        logit_scale (Union[float, Tensor]): Factor on the cosines: the inverse temperature itself, not its logarithm.
        gathered (Optional[GatheredPairs]): The candidates, where they are more than this process's own pairs. With
            embeddings that were gathered with their gradients, the mean of the processes' gradients is the gradient
            of one process that holds all pairs. Default: None

    Returns:
        Tensor: Scalar, the mean of both directions. A row without any positive does not count; 0 with a gradient
        path if none has one.

    Raises:
        ValueError: If ``same_identity`` or ``own_pair`` is unknown, if both are "ignore", which leaves no positive, or
            if numbers of rows do not fit.
    """

    def __init__(
        self, same_identity: str = "positive", own_pair: str = "positive"
    ) -> None:
        super().__init__()
        for name, role in (("same_identity", same_identity), ("own_pair", own_pair)):
            if role not in ("positive", "ignore"):
                raise ValueError(f"{name} must be 'positive' or 'ignore', got {role!r}")
        if same_identity == own_pair == "ignore":
            raise ValueError(
                "same_identity and own_pair are both 'ignore', which leaves no positive; set one to 'positive'"
            )
        self.same_identity = same_identity
        self.own_pair = own_pair

    def forward(
        self,
        image_embedding: Tensor,
        text_embedding: Tensor,
        image_identity: Tensor,
        text_identity: Tensor,
        logit_scale: Union[float, Tensor],
        *,
        gathered: Optional[GatheredPairs] = None,
    ) -> Tensor:
        if gathered is None:
            gathered = GatheredPairs(
                image_embedding, text_embedding, image_identity, text_identity
            )
        _check_rows(
            image_embedding, text_embedding, image_identity, text_identity, gathered
        )
        with torch.autocast(image_embedding.device.type, enabled=False):
            image_loss = self._one_way(
                image_embedding,
                gathered.text_embedding,
                image_identity,
                gathered.text_identity,
                logit_scale,
                gathered,
            )
            text_loss = self._one_way(
                text_embedding,
                gathered.image_embedding,
                text_identity,
                gathered.image_identity,
                logit_scale,
                gathered,
            )
        return (image_loss + text_loss) / 2

    def _one_way(
        self,
        row_embedding: Tensor,
        column_embedding: Tensor,
        row_identity: Tensor,
        column_identity: Tensor,
        logit_scale: Union[float, Tensor],
        gathered: GatheredPairs,
    ) -> Tensor:
        row = F.normalize(row_embedding.float(), dim=-1)
        column = F.normalize(column_embedding.float(), dim=-1)
        logits = logit_scale * row @ column.t()  # shape: (b, B)
        same = row_identity.unsqueeze(1) == column_identity.unsqueeze(0)
        own = torch.arange(logits.shape[0], device=logits.device) + gathered.offset
        is_own = own.unsqueeze(1) == torch.arange(logits.shape[1], device=logits.device)
        is_ignored = torch.zeros_like(same)
        if self.same_identity == "ignore":
            is_ignored |= same & ~is_own
        if self.own_pair == "ignore":
            is_ignored |= is_own
        positive = same & ~is_ignored
        # finite, unlike -inf, of which a row with no column left would make NaN; its exponential is 0 all the same
        logits = logits.masked_fill(is_ignored, torch.finfo(logits.dtype).min)
        log_probability = (logits - logits.logsumexp(dim=1, keepdim=True)).masked_fill(
            ~positive, 0.0
        )
        num_positive = positive.sum(dim=1)
        row_loss = -log_probability.sum(dim=1) / num_positive.clamp(min=1)
        return row_loss.sum() / (num_positive > 0).sum().clamp(min=1)

    def extra_repr(self) -> str:
        return f"same_identity={self.same_identity!r}, own_pair={self.own_pair!r}"


def _check_rows(
    image_embedding: Tensor,
    text_embedding: Tensor,
    image_identity: Tensor,
    text_identity: Tensor,
    gathered: GatheredPairs,
) -> None:
    rows = [
        t.shape[0]
        for t in (image_embedding, text_embedding, image_identity, text_identity)
    ]
    if len(set(rows)) != 1:
        raise ValueError(
            "images and texts are pairs, so image_embedding, text_embedding, image_identity and text_identity must "
            f"have the same number of rows, got {rows}"
        )
    columns = [t.shape[0] for t in gathered[:4]]
    if (
        len(set(columns)) != 1
        or gathered.offset < 0
        or gathered.offset + rows[0] > columns[0]
    ):
        raise ValueError(
            f"the gathered tensors must have the same number of rows and hold this process's {rows[0]} pairs from row "
            f"{gathered.offset} on, got {columns}"
        )
