# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional

import torch
from torch import nn, Tensor
from torch.nn import functional as F


class BatchHardTripletLoss(nn.Module):
    """Pulls the farthest candidate of an anchor's identity closer than the nearest candidate of any other.

    Reference: https://arxiv.org/abs/1703.07737; a margin of 0.3 is that of https://arxiv.org/abs/1903.07071. Distances
    are Euclidean, computed in float32 also under autocast, with gradient 0 where two embeddings coincide.

    Args:
        margin (Optional[float]): Margin of the hinge; None for the soft margin ``log(1 + exp(.))``. Default: 0.3

    Inputs:
        embedding (Tensor): Anchors of shape ``(b, d)``.
        identity (Tensor): Identities of the anchors of shape ``(b,)``.
        other_embedding (Optional[Tensor]): Candidates of shape ``(c, d)``: of the other modality, or gathered from all
            processes. Default: None, the anchors themselves
        other_identity (Optional[Tensor]): Identities of the candidates of shape ``(c,)``. Default: None
        self_offset (Optional[int]): Says that anchor ``i`` is itself the candidate ``self_offset + i``, which is then
            no positive of it. Default: None: no anchor is among other candidates

    Returns:
        Tensor: Scalar, the mean over the anchors that have both a positive and a negative; 0 with a gradient path if
        none has.

    Raises:
        ValueError: If the margin is negative or not finite, or the shapes do not fit.
    """

    def __init__(self, margin: Optional[float] = 0.3) -> None:
        super().__init__()
        if margin is not None and not 0 <= margin < float("inf"):
            raise ValueError(
                f"margin must be >= 0, or None for the soft margin, got {margin}"
            )
        self.margin = margin

    def forward(
        self,
        embedding: Tensor,
        identity: Tensor,
        other_embedding: Optional[Tensor] = None,
        other_identity: Optional[Tensor] = None,
        *,
        self_offset: Optional[int] = None,
    ) -> Tensor:
        if (other_embedding is None) != (other_identity is None):
            raise ValueError(
                "give other_embedding and other_identity together, or neither"
            )
        if other_embedding is None or other_identity is None:
            if self_offset is not None:
                raise ValueError(
                    f"self_offset is {self_offset}, but without other_embedding anchors are the candidates"
                )
            other_embedding, other_identity, self_offset = embedding, identity, 0
        _check_shapes(embedding, identity, other_embedding, other_identity, self_offset)
        if embedding.shape[0] == 0 or other_embedding.shape[0] == 0:
            return embedding.float().sum() * 0 + other_embedding.float().sum() * 0
        with torch.autocast(embedding.device.type, enabled=False):
            anchor, other = embedding.float(), other_embedding.float()
            same = identity.unsqueeze(1) == other_identity.unsqueeze(0)
            positive = (
                same if self_offset is None else same & ~_is_self(same, self_offset)
            )
            # distances do not depend on the origin, but the digits left of a difference of squares do
            center = other.detach().mean(dim=0)
            distance = squared_distance(
                anchor.detach() - center, other.detach() - center
            )
            hardest_positive = distance.masked_fill(~positive, float("-inf")).argmax(
                dim=1
            )
            hardest_negative = distance.masked_fill(same, float("inf")).argmin(dim=1)
            # the gradient goes through the chosen distances alone, computed without differences of squares
            gap = torch.linalg.vector_norm(anchor - other[hardest_positive], dim=1)
            gap = gap - torch.linalg.vector_norm(
                anchor - other[hardest_negative], dim=1
            )
            loss = F.softplus(gap) if self.margin is None else F.relu(gap + self.margin)
            counts = positive.any(dim=1) & ~same.all(dim=1)
            return loss.masked_fill(~counts, 0.0).sum() / counts.sum().clamp(min=1)

    def extra_repr(self) -> str:
        return f"margin={self.margin}"


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distances of all rows of ``a`` (n, d) to all rows of ``b`` (m, d). shape: (n, m)"""
    squares = a.square().sum(dim=1, keepdim=True) + b.square().sum(dim=1)
    return (squares - 2 * a @ b.t()).clamp(min=0)


def _is_self(same: Tensor, self_offset: int) -> Tensor:
    own = torch.arange(same.shape[0], device=same.device) + self_offset
    return own.unsqueeze(1) == torch.arange(same.shape[1], device=same.device)


def _check_shapes(
    embedding: Tensor,
    identity: Tensor,
    other_embedding: Tensor,
    other_identity: Tensor,
    self_offset: Optional[int],
) -> None:
    for name, vectors, labels in (
        ("", embedding, identity),
        ("other_", other_embedding, other_identity),
    ):
        if (
            vectors.dim() != 2
            or labels.shape != vectors.shape[:1]
            or vectors.shape[1] != embedding.shape[1]
        ):
            raise ValueError(
                f"{name}embedding must be (n, {embedding.shape[-1]}) and {name}identity (n,), "
                f"got {tuple(vectors.shape)} and {tuple(labels.shape)}"
            )
    if (
        self_offset is not None
        and not 0 <= self_offset <= other_embedding.shape[0] - embedding.shape[0]
    ):
        raise ValueError(
            f"self_offset {self_offset} puts {embedding.shape[0]} anchors outside of the "
            f"{other_embedding.shape[0]} candidates"
        )
