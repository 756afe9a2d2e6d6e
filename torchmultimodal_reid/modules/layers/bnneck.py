# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple

from torch import nn, Tensor


class BNNeckOutput(NamedTuple):
    embedding: Tensor  # for the metric loss
    normalized_embedding: Tensor  # for retrieval
    logits: Tensor  # for the identity loss


class BNNeck(nn.Module):
    """Separates the space of the metric loss from that of the identity loss by a batch norm.

    Reference: https://arxiv.org/abs/1903.07071. The output has the same fields in training and in evaluation.

    Args:
        embed_dim (int): Dimension of the input embeddings.
        num_identities (int): Number of identities in the training set.

    Inputs:
        embedding (Tensor): Pooled embeddings of shape ``(b, embed_dim)``.

    Raises:
        ValueError: If ``num_identities`` is less than 1.
    """

    def __init__(self, embed_dim: int, num_identities: int) -> None:
        super().__init__()
        if num_identities < 1:
            raise ValueError(f"num_identities must be >= 1, got {num_identities}")
        self.norm = nn.BatchNorm1d(embed_dim)
        # a frozen zero bias keeps the identity hyperplanes through the origin
        self.norm.bias.requires_grad_(False)
        self.classifier = nn.Linear(embed_dim, num_identities, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, embedding: Tensor) -> BNNeckOutput:
        normalized = self.norm(embedding)
        return BNNeckOutput(embedding, normalized, self.classifier(normalized))
