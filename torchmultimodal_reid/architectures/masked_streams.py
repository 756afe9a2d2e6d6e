# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""How the masked stream of MMET's pretraining hides patches and words: it replaces them, or it drops them."""

import math
from typing import cast, NamedTuple, Optional, Protocol, Tuple, TypeVar

import torch
from torch import nn, Tensor
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput
from torchmultimodal_reid.modules.layers.attend_mask import join_padding
from torchmultimodal_reid.modules.layers.masked_decoder import masked_rows, MaskTokens
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask
from torchmultimodal_reid.modules.masking.selection import select_tokens, TokenSelection

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


class DropStream(nn.Module):
    """Hidden patches and words are left out of all encoders; light decoders tell what they were.

    As in MAE (https://arxiv.org/abs/2111.06377), and as in FLIP (https://arxiv.org/abs/2212.00794) for the contrast of
    the same stream. Words are dropped like patches: the text encoder sees the visible ones with the places that they
    have in the whole caption, and no [MASK], which it would not meet after pretraining either. Only a masked first
    token stays, replaced as the mask says, since [CLS] stands there.

    The batch is rectangular whatever each sample hides: it has as many columns as the sample with most visible tokens,
    and the others are padded. Where all see as many, as with one ratio a step, attention needs no mask.

    Args:
        image_tokens (MaskTokens): Mask tokens at the places of [CLS] and the patches.
        text_tokens (MaskTokens): Mask tokens at the places of a caption's tokens.
        image_decoder (Optional[nn.Module]): Reads the image encoder's tokens, such as
            :class:`~torchmultimodal_reid.modules.layers.masked_decoder.MaskedTokenDecoder`. Default: None, for no
            masked image modelling.
        text_decoder (Optional[nn.Module]): The same for the text encoder. Default: None.
        mm_decoder (Optional[nn.Module]): The same for the multimodal encoder. Default: None.

    Its encoders honour :class:`~torchmultimodal_reid.modules.encoders.protocols.DroppingImageEncoder` and
    :class:`~torchmultimodal_reid.modules.encoders.protocols.DroppingTextEncoder`.
    """

    def __init__(
        self,
        image_tokens: MaskTokens,
        text_tokens: MaskTokens,
        image_decoder: Optional[nn.Module] = None,
        text_decoder: Optional[nn.Module] = None,
        mm_decoder: Optional[nn.Module] = None,
    ) -> None:
        super().__init__()
        self.image_tokens = image_tokens
        self.text_tokens = text_tokens
        self.image_decoder = image_decoder
        self.text_decoder = text_decoder
        self.mm_decoder = mm_decoder

    def encode_image(
        self, mmet: MMET, image: Tensor, mask: MultimodalMask
    ) -> EncodedPart:
        hidden = mask.masked_patches
        if hidden is None:
            hidden = image.new_zeros(len(image), math.prod(mmet.grid)).bool()
        # [CLS] comes before the patches
        hidden = nn.functional.pad(hidden, (1, 0), value=False)
        split = split_tokens(self.image_tokens, hidden, ~hidden)
        # masked too: where patches overlap, what is left out could be seen in its neighbours
        output = mmet.image_encoder(image, mask.masked_patches, visible=split.visible)
        return EncodedPart(output, split.visible.padding, split)

    def encode_text(
        self,
        mmet: MMET,
        text: Tensor,
        text_padding: Optional[Tensor],
        mask: MultimodalMask,
    ) -> EncodedPart:
        hidden = mask.masked_tokens
        if hidden is None:
            hidden = torch.zeros_like(text, dtype=torch.bool)
        visible = ~hidden if text_padding is None else ~(hidden | text_padding)
        visible = torch.cat([torch.ones_like(visible[:, :1]), visible[:, 1:]], 1)
        split = split_tokens(self.text_tokens, hidden, visible)
        read = text if mask.masked_text is None else mask.masked_text
        output = mmet.text_encoder(read, visible=split.visible)
        return EncodedPart(output, split.visible.padding, split)

    def complete(
        self,
        image: Optional[EncodedPart],
        text: Optional[EncodedPart],
        fused: Tensor,
        mask: MultimodalMask,
    ) -> MaskedTokens:
        return MaskedTokens(
            _decode(self.image_decoder, image),
            _decode(self.text_decoder, text),
            *self._decode_fused(
                fused,
                None if image is None else image.split,
                None if text is None else text.split,
            ),
        )

    def _decode_fused(
        self,
        fused: Tensor,
        patches: Optional[SplitTokens],
        words: Optional[SplitTokens],
    ) -> Tuple[Optional[Tensor], Optional[Tensor]]:
        """Tokens at the hidden patches and at the hidden words: one call of the decoder asks for both."""
        if self.mm_decoder is None:
            return None, None
        parts = [part for part in (patches, words) if part is not None]
        positions = [part.positions for part in parts]
        # [CLS_M] has no place
        positions.insert(0, torch.zeros_like(positions[0][:, :1]))
        padding = [None, *(part.visible.padding for part in parts)]
        queries = [part.queries for part in parts]
        decoded = self.mm_decoder(
            torch.cat(queries, dim=1),
            fused,
            torch.cat(positions, dim=1),
            join_padding(positions, padding),
        ).split([part.shape[1] for part in queries], dim=1)
        rows = iter(masked_rows(part, of.masked) for part, of in zip(decoded, parts))
        return (
            None if patches is None else next(rows),
            None if words is None else next(rows),
        )


def split_tokens(tokens: MaskTokens, hidden: Tensor, visible: Tensor) -> SplitTokens:
    """Splits by two bool masks ``(b, n)``; what neither names is padding."""
    seen = select_tokens(visible)
    # one at least, since attention takes no empty sequence; where it stands for nothing, it is padding
    masked = select_tokens(hidden, at_least=1)
    return SplitTokens(
        seen, masked, tokens.positions(seen.places), tokens(masked.places)
    )


def _decode(
    decoder: Optional[nn.Module], part: Optional[EncodedPart]
) -> Optional[Tensor]:
    if decoder is None or part is None or part.split is None:
        return None
    split = part.split
    decoded = decoder(
        split.queries, part.output.tokens, split.positions, split.visible.padding
    )
    return masked_rows(decoded, split.masked)


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
