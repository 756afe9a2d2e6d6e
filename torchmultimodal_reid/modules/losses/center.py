# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional

import torch
from torch import nn, Tensor


class CenterLoss(nn.Module):
    """Pulls each embedding to the centre of its identity.

    Reference: Wen et al., ECCV 2016, https://ydwen.github.io/papers/WenECCV16.pdf; in re-identification
    https://arxiv.org/abs/1903.07071, whose weight of 5e-4 is meant for the mean that is returned here (the first paper
    has half of the sum).

    The centres belong to the loss. They are a buffer, not weights: no optimizer moves them, but the rule of the first
    paper at each call in training mode, so that neither the weight of the loss nor the optimizer changes their pace::

        center[j] += rate * sum(embedding[i] - center[j] for i of identity j) / (1 + number of i of identity j)

    They begin at zero, and the loss of a call is that of the centres before it. Save the loss's state dict with the
    model's where a run shall go on as if it had not stopped. To use the model the centres are not needed.

    Args:
        embed_dim (int): Dimension of the embeddings.
        num_identities (int): Number of identities in the training set.
        rate (float): How fast the centres move, above 0 and at most 1. Default: 0.5

    Inputs:
        embedding (Tensor): Embeddings of shape ``(b, embed_dim)``.
        identity (Tensor): Their identities, ``0`` to ``num_identities - 1``, of shape ``(b,)``.
        gathered_embedding (Optional[Tensor]): The embeddings of all processes, by which the centres move, so that they
            stay the same in each. Default: None, for ``embedding``
        gathered_identity (Optional[Tensor]): Their identities. Default: None

    Returns:
        Tensor: Scalar, the mean squared Euclidean distance to the centres, in float32; 0 with a gradient path for an
        empty batch.

    Raises:
        ValueError: If an argument is out of its range, or shapes do not fit.
    """

    centers: Tensor

    def __init__(self, embed_dim: int, num_identities: int, rate: float = 0.5) -> None:
        super().__init__()
        if embed_dim < 1 or num_identities < 1:
            raise ValueError(
                f"embed_dim and num_identities must be >= 1, got {embed_dim} and {num_identities}"
            )
        if not 0 < rate <= 1:
            raise ValueError(f"rate must be above 0 and at most 1, got {rate}")
        self.rate = rate
        self.register_buffer("centers", torch.zeros(num_identities, embed_dim))

    def forward(
        self,
        embedding: Tensor,
        identity: Tensor,
        gathered_embedding: Optional[Tensor] = None,
        gathered_identity: Optional[Tensor] = None,
    ) -> Tensor:
        if gathered_embedding is None or gathered_identity is None:
            if gathered_embedding is not gathered_identity:
                raise ValueError(
                    "give gathered_embedding and gathered_identity together, or neither"
                )
            gathered_embedding, gathered_identity = embedding, identity
        self._check_shapes("", embedding, identity)
        self._check_shapes("gathered_", gathered_embedding, gathered_identity)
        with torch.autocast(embedding.device.type, enabled=False):
            distance = (embedding.float() - self.centers[identity]).square().sum(dim=1)
            loss = distance.sum() / max(len(identity), 1)
        if self.training:
            self._move(gathered_embedding.detach().float(), gathered_identity)
        return loss

    @torch.no_grad()
    def _move(self, embedding: Tensor, identity: Tensor) -> None:
        # a matrix product adds in one order, index_add on a GPU in any
        member = nn.functional.one_hot(identity, len(self.centers)).to(embedding.dtype)
        count = member.sum(dim=0).unsqueeze(1)
        with torch.autocast(embedding.device.type, enabled=False):
            change = member.t() @ embedding - count * self.centers
        self.centers += self.rate * change / (1 + count)

    def _check_shapes(self, name: str, embedding: Tensor, identity: Tensor) -> None:
        dim = self.centers.shape[1]
        if (
            embedding.dim() != 2
            or embedding.shape[1] != dim
            or identity.shape != embedding.shape[:1]
        ):
            raise ValueError(
                f"{name}embedding must be (n, {dim}) and {name}identity (n,), "
                f"got {tuple(embedding.shape)} and {tuple(identity.shape)}"
            )

    def extra_repr(self) -> str:
        return f"num_identities={len(self.centers)}, rate={self.rate}"
