# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from torch import nn, Tensor
from torchmultimodal_reid.modules.layers.bnneck import BNNeck, BNNeckOutput


class ReIDModel(nn.Module):
    """A backbone, a pooling and a BNNeck: the strong baseline of re-identification by images
    (https://arxiv.org/abs/1903.07071).

    Args:
        backbone (nn.Module): Images of shape ``(b, 3, h, w)`` to a feature map of shape ``(b, c, h', w')``.
        pooling (nn.Module): The feature map to embeddings of shape ``(b, c)``.
        neck (BNNeck): Of width ``c``.

    Inputs:
        image (Tensor): Normalised images of shape ``(b, 3, h, w)``.

    Returns:
        BNNeckOutput: Embeddings before and behind the neck's norm, and logits; the same fields in training and in
        evaluation.
    """

    def __init__(self, backbone: nn.Module, pooling: nn.Module, neck: BNNeck) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.neck = neck

    def forward(self, image: Tensor) -> BNNeckOutput:
        return self.neck(self.pooling(self.backbone(image)))

    def embed(self, image: Tensor) -> Tensor:
        """Embeddings to search with, one a row.

        Args:
            image (Tensor): Normalised images of shape ``(b, 3, h, w)``.

        Returns:
            Tensor: Float32 of shape ``(b, c)``, L2-normalised, so that a dot product is a cosine similarity.

        Raises:
            ValueError: If the model is in training mode, where an embedding would depend on its neighbours in the
                batch.
        """
        if self.training:
            raise ValueError(
                "embed was called on a model in training mode; call model.eval() first"
            )
        pooled = self.pooling(self.backbone(image))
        return nn.functional.normalize(self.neck.norm(pooled).float(), dim=-1)
