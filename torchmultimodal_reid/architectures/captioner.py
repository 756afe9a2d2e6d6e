# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional, Tuple

import torch
from torch import nn, Tensor
from torchmultimodal_reid.modules.decoders.caption_decoder import (
    CaptionDecoder,
    DecoderCache,
)


class CaptionerOutput(NamedTuple):
    """What :class:`~torchmultimodal_reid.modules.losses.captioning.CaptioningLoss` reads, at tokens that count."""

    forward_logits: Tensor  # shape: (m, vocab_size)
    forward_target: Tensor  # shape: (m,)
    backward_logits: Optional[Tensor]  # shape: (m, vocab_size); None without direction
    backward_target: Optional[Tensor]  # shape: (m,)


class CaptionerCache(NamedTuple):
    """Captions that are being written."""

    decoder: DecoderCache
    backward: bool

    def select(self, rows: Tensor) -> "CaptionerCache":
        """See :meth:`~torchmultimodal_reid.modules.decoders.caption_decoder.DecoderCache.select`."""
        return self._replace(decoder=self.decoder.select(rows))


class BidirectionalCaptioner(nn.Module):
    """A CNN and a textual head that writes an image's caption forwards and backwards.

    The model of VirTex (https://arxiv.org/abs/2006.06666) and of VTBR (https://arxiv.org/abs/2110.05074). The two
    directions share everything but their decoders, so they are embedded, and their logits computed, in one pass, and
    nothing is computed for padding. The backward direction reads the reversed caption: it starts at [SEP] and
    ends at [CLS].

    Args:
        visual (nn.Module): Images to a feature map ``(b, c, rows, columns)``.
        projection (nn.Module): Cells ``(b, n, c)`` to ``(b, n, d)``.
        embedding (nn.Module): Ids to tokens, such as
            :class:`~torchmultimodal_reid.modules.layers.word_and_position_embedding.WordAndPositionEmbedding`.
        forward_decoder (CaptionDecoder): Reads from left to right.
        backward_decoder (Optional[CaptionDecoder]): Reads from right to left. None for a forward captioner.
        output (nn.Module): Tokens to logits over the vocabulary.

    Inputs:
        image (Tensor): Normalised images of shape ``(b, 3, h, w)``.
        text (Tensor): Token ids, long, of shape ``(b, s)``, from [CLS] to [SEP], padded behind.
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding. Default: None, for no padding

    Raises:
        ValueError: If the captions are too short to predict anything, or longer than the embedding's positions.
    """

    def __init__(
        self,
        visual: nn.Module,
        projection: nn.Module,
        embedding: nn.Module,
        forward_decoder: CaptionDecoder,
        backward_decoder: Optional[CaptionDecoder],
        output: nn.Module,
    ) -> None:
        super().__init__()
        self.visual = visual
        self.projection = projection
        self.embedding = embedding
        self.forward_decoder = forward_decoder
        self.backward_decoder = backward_decoder
        self.output = output

    def forward(
        self, image: Tensor, text: Tensor, text_padding: Optional[Tensor] = None
    ) -> CaptionerOutput:
        if text.shape[1] < 2:
            raise ValueError(
                f"captions have {text.shape[1]} tokens, expected [CLS], words and [SEP]"
            )
        if text_padding is None:
            text_padding = torch.zeros_like(text, dtype=torch.bool)
        grid = self.encode_image(image)
        decoders, texts = [self.forward_decoder], [text]
        if self.backward_decoder is not None:
            decoders.append(self.backward_decoder)
            texts.append(reverse_captions(text, text_padding))
        # the last token predicts nothing
        tokens = self.embedding(
            torch.cat([given[:, :-1] for given in texts]),
            text_padding[:, :-1].repeat(len(texts), 1),
        )
        counts = ~text_padding[:, 1:]
        hidden = [
            decoder.at(part, grid, counts)
            for decoder, part in zip(decoders, tokens.chunk(len(decoders)))
        ]
        logits = self.output(torch.cat(hidden)).tensor_split(len(hidden))
        target = [given[:, 1:][counts] for given in texts]
        if self.backward_decoder is None:
            return CaptionerOutput(logits[0], target[0], None, None)
        return CaptionerOutput(logits[0], target[0], logits[1], target[1])

    def encode_image(self, image: Tensor) -> Tensor:
        """The projected cells of normalised images ``(b, 3, h, w)``, of shape ``(b, rows * columns, d)``."""
        return self.projection(self.visual(image).flatten(2).transpose(1, 2))

    def start(self, image: Tensor, backward: bool = False) -> CaptionerCache:
        """Begins to write captions.

        Args:
            image (Tensor): Normalised images of shape ``(b, 3, h, w)``.
            backward (bool): Write from right to left. Default: False

        Raises:
            ValueError: If the model has no such direction.
        """
        return CaptionerCache(
            self._decoder(backward).start(self.encode_image(image)), backward
        )

    def step(
        self, tokens: Tensor, cache: CaptionerCache
    ) -> Tuple[Tensor, CaptionerCache]:
        """Writes one token: nothing is computed again for those before it.

        Args:
            tokens (Tensor): Ids, long, of shape ``(k * b,)``: the last token of each caption, the ``k`` captions of an
                image being adjacent. At first [CLS], or [SEP] backwards.
            cache (CaptionerCache): From :meth:`start` or the step before.

        Returns:
            Tuple[Tensor, CaptionerCache]: Logits of the next token, ``(k * b, vocab_size)``, and the cache after it.

        Raises:
            ValueError: If the captions are as long as the embedding's positions already.
        """
        embedded = self.embedding(tokens.unsqueeze(1), start=cache.decoder.length)
        hidden, decoder = self._decoder(cache.backward).step(embedded, cache.decoder)
        return self.output(hidden.squeeze(1)), cache._replace(decoder=decoder)

    def _decoder(self, backward: bool) -> CaptionDecoder:
        decoder = self.backward_decoder if backward else self.forward_decoder
        if decoder is None:
            raise ValueError(
                "the model has no backward decoder, it writes forwards only"
            )
        return decoder


def reverse_captions(text: Tensor, text_padding: Tensor) -> Tensor:
    """Captions from right to left, their padding staying behind.

    Args:
        text (Tensor): Token ids, long, of shape ``(b, s)``, padded behind.
        text_padding (Tensor): Bool of shape ``(b, s)``, True at padding.
    """
    position = torch.arange(text.shape[1], device=text.device)
    mirrored = (~text_padding).sum(dim=1, keepdim=True) - 1 - position
    return text.gather(1, torch.where(mirrored >= 0, mirrored, position))
