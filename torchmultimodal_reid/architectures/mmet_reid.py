# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Dict, NamedTuple, Optional

import torch
from torch import nn, Tensor
from torchmultimodal_reid.architectures.mmet import check_modalities, MMET
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput
from torchmultimodal_reid.modules.layers.bnneck import BNNeck, BNNeckOutput


class MMETReIDOutput(NamedTuple):
    """One output of the neck for each kind of query; None for a kind that the batch cannot make."""

    fused: Optional[BNNeckOutput]
    image: Optional[BNNeckOutput]
    text: Optional[BNNeckOutput]


class MMETForReID(nn.Module):
    """MMET with a BNNeck, for re-identification by an image, by a caption, or by both
    (https://arxiv.org/abs/2304.09498, https://arxiv.org/abs/1903.07071).

    The same tokens and the same neck serve the three kinds of query. That one classifier has to name a person from
    each of them is what makes them equivalent. The neck sees the three as one batch, so that the statistics that its
    norm keeps are those of all three.

    A query is the mean of two of the multimodal encoder's class tokens: [CLS_M], and the one that came from [CLS_I], or
    from [CLS_T] where there is no image. Through [CLS_M] alone, which starts empty, all that the unimodal encoders know
    would have to pass the attention of the multimodal encoder; their own class tokens carry it along its residual
    path. A caption adds to an image and does not replace it, so with both it is [CLS_I] that stays.

    A search with an image and a caption takes the direction of three embeddings together: of both, of the image alone,
    and, with a small weight, of the caption alone. How far the first of them trusts captions differs from one training
    to the next, for training identities are known by their images anyway; the sum is steadier, and finds more.

    Args:
        mmet (MMET): Gives the fused tokens of each kind of query.
        neck (BNNeck): Of the multimodal encoder's width.
        caption_weight (float): Of the caption's own embedding in a search with an image and a caption, where the other
            two have 1. Default: 0.2

    Raises:
        ValueError: If ``caption_weight`` is negative.

    Inputs:
        image (Optional[Tensor]): Normalised images of shape ``(b, 3, h, w)``.
        text (Optional[Tensor]): Token ids of shape ``(b, s)``.
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding.
    """

    def __init__(self, mmet: MMET, neck: BNNeck, caption_weight: float = 0.2) -> None:
        super().__init__()
        if not caption_weight >= 0:
            raise ValueError(f"caption_weight must be 0 or above, got {caption_weight}")
        self.mmet = mmet
        self.neck = neck
        self.caption_weight = caption_weight

    def forward(
        self,
        image: Optional[Tensor] = None,
        text: Optional[Tensor] = None,
        text_padding: Optional[Tensor] = None,
    ) -> MMETReIDOutput:
        pooled = self._pool_kinds(image, text, text_padding)
        output = self.neck(torch.cat(list(pooled.values())))
        parts = zip(*(part.chunk(len(pooled)) for part in output))
        necks = {kind: BNNeckOutput(*part) for kind, part in zip(pooled, parts)}
        return MMETReIDOutput(necks.get("fused"), necks.get("image"), necks.get("text"))

    def embed(
        self,
        image: Optional[Tensor] = None,
        text: Optional[Tensor] = None,
        text_padding: Optional[Tensor] = None,
    ) -> Tensor:
        """Embeddings to search with, one a row, whatever the query is.

        Args:
            image (Optional[Tensor]): Normalised images of shape ``(b, 3, h, w)``.
            text (Optional[Tensor]): Token ids of shape ``(b, s)``.
            text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding.

        Returns:
            Tensor: Float32 of shape ``(b, d)``, L2-normalised, so that a dot product is a cosine similarity.

        Raises:
            ValueError: If neither an image nor a text was given, if their batch sizes differ, or if the model is in
                training mode, where an embedding would depend on its neighbours in the batch.
        """
        if self.training:
            raise ValueError(
                "embed was called on a model in training mode; call model.eval() first"
            )
        units = {
            kind: nn.functional.normalize(self.neck.norm(pooled).float(), dim=-1)
            for kind, pooled in self._pool_kinds(image, text, text_padding).items()
        }
        if len(units) == 1:
            (embedding,) = units.values()
            return embedding
        together = units["fused"] + units["image"] + self.caption_weight * units["text"]
        return nn.functional.normalize(together, dim=-1)

    def _pool_kinds(
        self,
        image: Optional[Tensor],
        text: Optional[Tensor],
        text_padding: Optional[Tensor],
    ) -> Dict[str, Tensor]:
        """What stands before the neck, of shape ``(b, d)``, for each kind of query that the input makes."""
        check_modalities(image, text)
        mmet = self.mmet
        encoded_image = None if image is None else mmet.encode_image(image)
        encoded_text = None if text is None else mmet.encode_text(text, text_padding)

        pooled = {}
        if encoded_image is not None and encoded_text is not None:
            pooled["fused"] = self._pool(encoded_image, encoded_text, text_padding)
        if encoded_image is not None:
            pooled["image"] = self._pool(encoded_image, None, None)
        if encoded_text is not None:
            pooled["text"] = self._pool(None, encoded_text, text_padding)
        return pooled

    def _pool(
        self,
        image: Optional[EncoderOutput],
        text: Optional[EncoderOutput],
        text_padding: Optional[Tensor],
    ) -> Tensor:
        """The mean of [CLS_M] and of the first modality's class token, of shape ``(b, d)``."""
        tokens = self.mmet.encode_multimodal(image, text, text_padding)
        return tokens[:, :2].mean(dim=1)
