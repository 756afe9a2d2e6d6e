# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The other pretraining tasks of VirTex's ablation (https://arxiv.org/abs/2006.06666), on the same parts."""

from typing import Optional

from torch import nn, Tensor
from torchmultimodal_reid.architectures.pretraining_output import MaskedPrediction
from torchmultimodal_reid.modules.decoders.caption_decoder import CaptionDecoder


class MaskedCaptionModel(nn.Module):
    """Predicts the masked words of a caption from the image and the other words.

    Args:
        visual (nn.Module): Images to a feature map ``(b, c, rows, columns)``.
        projection (nn.Module): Cells ``(b, n, c)`` to ``(b, n, d)``.
        embedding (nn.Module): Ids to tokens.
        decoder (CaptionDecoder): Built with ``causal=False``.
        output (nn.Module): Tokens to logits over the vocabulary; called at masked tokens only.

    Inputs:
        image (Tensor): Normalised images of shape ``(b, 3, h, w)``.
        text (Tensor): Token ids, long, of shape ``(b, s)``.
        masked_text (Tensor): The same with words replaced, from
            :class:`~torchmultimodal_reid.modules.masking.token_masking.TokenMasking`.
        masked_tokens (Tensor): Bool of shape ``(b, s)``, True where a word is to be predicted.
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding. Default: None, for no padding

    Returns:
        MaskedPrediction: Logits ``(m, vocab_size)`` and the words that were there, ``(m,)``.
    """

    def __init__(
        self,
        visual: nn.Module,
        projection: nn.Module,
        embedding: nn.Module,
        decoder: CaptionDecoder,
        output: nn.Module,
    ) -> None:
        super().__init__()
        self.visual = visual
        self.projection = projection
        self.embedding = embedding
        self.decoder = decoder
        self.output = output

    def forward(
        self,
        image: Tensor,
        text: Tensor,
        masked_text: Tensor,
        masked_tokens: Tensor,
        text_padding: Optional[Tensor] = None,
    ) -> MaskedPrediction:
        grid = self.projection(self.visual(image).flatten(2).transpose(1, 2))
        tokens = self.embedding(masked_text, text_padding)
        hidden = self.decoder(tokens, grid, text_padding)
        return MaskedPrediction(self.output(hidden[masked_tokens]), text[masked_tokens])


class TokenClassifier(nn.Module):
    """Predicts which words a caption has from the image alone, without their order.

    Args:
        visual (nn.Module): Images to a feature map ``(b, c, rows, columns)``.
        output (nn.Module): Pooled features ``(b, c)`` to logits over the vocabulary.

    Inputs:
        image (Tensor): Normalised images of shape ``(b, 3, h, w)``.

    Returns:
        Tensor: Logits of shape ``(b, vocab_size)``, for
        :class:`~torchmultimodal_reid.modules.losses.captioning.TokenClassificationLoss`.
    """

    def __init__(self, visual: nn.Module, output: nn.Module) -> None:
        super().__init__()
        self.visual = visual
        self.output = output

    def forward(self, image: Tensor) -> Tensor:
        return self.output(self.visual(image).mean(dim=(2, 3)))
