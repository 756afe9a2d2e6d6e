# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a masked stream of MMET's pretraining is, and the one that replaces patches and words; see drop_stream too."""

from typing import cast, NamedTuple, Optional, Protocol, Tuple, TypeVar

from torch import nn, Tensor
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask
from torchmultimodal_reid.modules.masking.selection import TokenSelection

Part = TypeVar("Part")


class MaskedTokens(NamedTuple):
    """Tokens at the masked positions, sample by sample, for the heads; None for a missing modality or decoder."""

    image: Optional[Tensor]  # shape: (m, d), of the image encoder
    text: Optional[Tensor]  # shape: (m, d), of the text encoder
    fused_image: Optional[Tensor]  # shape: (m, d), of the multimodal encoder
    fused_text: Optional[Tensor]  # shape: (m, d), of the multimodal encoder


class SplitTokens(NamedTuple):
    """Which tokens of one modality are visible and which hidden, and what a decoder needs to know of their places."""

    visible: TokenSelection
    masked: TokenSelection
    positions: Tensor  # shape: (b, k, d), of the visible tokens
    queries: Tensor  # shape: (b, m, d), mask tokens at the places of the hidden ones


class EncodedPart(NamedTuple):
    """What a unimodal encoder made of what is not hidden, which the multimodal encoder reads."""

    output: EncoderOutput
    padding: Optional[Tensor] = None  # bool, True at padding among the tokens
    split: Optional[SplitTokens] = None  # where tokens were left out


class MaskedStream(Protocol):
    """What :class:`~torchmultimodal_reid.architectures.mmet_pretraining.MMETForPretraining` asks of a masked stream.

    Rows of the tensors are samples, so that some of a batch can be taken between the calls.
    """

    def encode_image(
        self, mmet: MMET, image: Tensor, mask: MultimodalMask
    ) -> EncodedPart:
        """Images through their encoder, without the patches that ``mask`` hides."""
        ...

    def encode_text(
        self,
        mmet: MMET,
        text: Tensor,
        text_padding: Optional[Tensor],
        mask: MultimodalMask,
    ) -> EncodedPart:
        """Captions through their encoder, without the words that ``mask`` hides."""
        ...

    def complete(
        self,
        image: Optional[EncodedPart],
        text: Optional[EncodedPart],
        fused: Tensor,
        mask: MultimodalMask,
    ) -> MaskedTokens:
        """What the heads predict the hidden from.

        Args:
            image (Optional[EncodedPart]): From :meth:`encode_image`; None for captions alone.
            text (Optional[EncodedPart]): From :meth:`encode_text`; None for images alone.
            fused (Tensor): What the multimodal encoder made of it, ``(b, 1 + n_image + n_text, d)``, [CLS_M] first.
            mask (MultimodalMask): What was hidden.
        """
        ...


class ReplaceStream(nn.Module):
    """Mask tokens stand where patches and words are hidden, in all encoders, as in FLAVA
    (https://arxiv.org/abs/2112.04482). The encoders themselves find out what is hidden; there is no decoder.
    """

    def encode_image(
        self, mmet: MMET, image: Tensor, mask: MultimodalMask
    ) -> EncodedPart:
        return EncodedPart(mmet.encode_image(image, mask))

    def encode_text(
        self,
        mmet: MMET,
        text: Tensor,
        text_padding: Optional[Tensor],
        mask: MultimodalMask,
    ) -> EncodedPart:
        return EncodedPart(mmet.encode_text(text, text_padding, mask), text_padding)

    def complete(
        self,
        image: Optional[EncodedPart],
        text: Optional[EncodedPart],
        fused: Tensor,
        mask: MultimodalMask,
    ) -> MaskedTokens:
        seen_image = None if image is None else image.output
        seen_text = None if text is None else text.output
        fused_image, fused_text = split_fused(fused, seen_image, seen_text)
        patches = None if seen_image is None else seen_image.tokens[:, 1:]
        words = None if seen_text is None else seen_text.tokens
        return MaskedTokens(
            _rows(patches, mask.masked_patches),
            _rows(words, mask.masked_tokens),
            _rows(fused_image, mask.masked_patches),
            _rows(fused_text, mask.masked_tokens),
        )


def _rows(tokens: Optional[Tensor], masked: Optional[Tensor]) -> Optional[Tensor]:
    return None if tokens is None or masked is None else tokens[masked]


def split_fused(
    fused: Tensor, image: Optional[EncoderOutput], text: Optional[EncoderOutput]
) -> Tuple[Optional[Tensor], Optional[Tensor]]:
    """The image patches ``(b, n, d)`` and the text tokens ``(b, s, d)`` of the multimodal encoder's output, whose
    order is [CLS_M], [CLS_I], patches, text tokens."""
    n_image = 0 if image is None else image.tokens.shape[1]
    image_tokens = None if image is None else fused[:, 2 : 1 + n_image]
    text_tokens = None if text is None else fused[:, 1 + n_image :]
    return image_tokens, text_tokens


def rows_of(part: Part, rows: Optional[Tensor]) -> Part:
    """Some samples of a tensor, or of all tensors in a named tuple of such.

    Args:
        part (Part): A tensor, a named tuple of parts, or None, which stays None.
        rows (Optional[Tensor]): Long of shape ``(r,)``. None takes all, as they are.
    """
    if rows is None or part is None:
        return part
    if isinstance(part, Tensor):
        return cast(Part, part[rows])
    assert isinstance(part, tuple)
    return type(part)(*(rows_of(field, rows) for field in part))
