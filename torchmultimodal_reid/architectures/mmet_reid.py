# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional

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
    path. With both, a caption adds to an image and does not replace it: [CLS_I] stays, and a small share of the query
    comes from [CLS_T]. That share is set, not learned: training identities are known by their images alone, so that
    training asks less of captions than a search for new people does.

    Args:
        mmet (MMET): Gives the fused tokens of each kind of query.
        neck (BNNeck): Of the multimodal encoder's width.
        caption_share (float): Of [CLS_T] in a query by image and caption, from 0 to 1. Default: 0.1

    Raises:
        ValueError: If ``caption_share`` is not within 0 and 1.

    Inputs:
        image (Optional[Tensor]): Normalised images of shape ``(b, 3, h, w)``.
        text (Optional[Tensor]): Token ids of shape ``(b, s)``.
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding.
    """

    def __init__(self, mmet: MMET, neck: BNNeck, caption_share: float = 0.1) -> None:
        super().__init__()
        if not 0 <= caption_share <= 1:
            raise ValueError(f"caption_share must be from 0 to 1, got {caption_share}")
        self.mmet = mmet
        self.neck = neck
        self.caption_share = caption_share

    def forward(
        self,
        image: Optional[Tensor] = None,
        text: Optional[Tensor] = None,
        text_padding: Optional[Tensor] = None,
    ) -> MMETReIDOutput:
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
        check_modalities(image, text)
        mmet = self.mmet
        pooled = self._pool(
            None if image is None else mmet.encode_image(image),
            None if text is None else mmet.encode_text(text, text_padding),
            text_padding,
        )
        return nn.functional.normalize(self.neck.norm(pooled).float(), dim=-1)

    def _pool(
        self,
        image: Optional[EncoderOutput],
        text: Optional[EncoderOutput],
        text_padding: Optional[Tensor],
    ) -> Tensor:
        """The query before the neck, of shape ``(b, d)``."""
        tokens = self.mmet.encode_multimodal(image, text, text_padding)
        pooled = tokens[:, :2].mean(dim=1)
        if image is None or text is None:
            return pooled
        caption = tokens[:, 1 + image.hidden.shape[1]]  # after [CLS_M] and the image
        return pooled.lerp(caption, self.caption_share)
