# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The masked stream of MMET's pretraining that leaves out what is hidden."""

import math
from typing import Optional, Tuple

import torch
from torch import nn, Tensor
from torchmultimodal_reid.architectures.masked_streams import (
    EncodedPart,
    MaskedTokens,
    SplitTokens,
)
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.modules.layers.attend_mask import join_padding
from torchmultimodal_reid.modules.layers.masked_decoder import masked_rows, MaskTokens
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask
from torchmultimodal_reid.modules.masking.selection import select_tokens


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
