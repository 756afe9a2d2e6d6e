# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import cast, NamedTuple, Optional, Tuple

import torch
from torch import nn, Tensor
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput, ImageEncoder
from torchmultimodal_reid.modules.layers.attend_mask import join_padding
from torchmultimodal_reid.modules.masking.draws import Draws
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask


class MMETOutput(NamedTuple):
    """The three encoders' outputs; None for a modality that was not given."""

    image: Optional[EncoderOutput]
    text: Optional[EncoderOutput]
    multimodal: Tensor  # shape: (b, 1 + n_image + n_text, d), [CLS_M] first, image tokens before text tokens


class MMET(nn.Module):
    """Multi-Modal Equivalent Transformer (https://arxiv.org/abs/2304.09498).

    An image encoder, a text encoder and a multimodal encoder over [CLS_M] and the projected tokens of an image, of a
    caption, or of both. The three kinds of input are equivalent: each passes through the multimodal encoder, none
    needs a dummy for what is missing, and all end in one space. The class computes no loss and knows no identity.

    Args:
        image_encoder (nn.Module): Honours :class:`~torchmultimodal_reid.modules.encoders.protocols.ImageEncoder`.
        text_encoder (nn.Module): Honours :class:`~torchmultimodal_reid.modules.encoders.protocols.TextEncoder`.
        mm_encoder (nn.Module): Honours :class:`~torchmultimodal_reid.modules.encoders.protocols.MultimodalEncoder`.
        image_to_mm (nn.Module): From the image encoder's width to the multimodal encoder's.
        text_to_mm (nn.Module): From the text encoder's width to the multimodal encoder's.
        image_projection (nn.Module): From [CLS_I] to the space of the global contrastive loss.
        text_projection (nn.Module): From [CLS_T] to the space of the global contrastive loss.
        masking (Optional[nn.Module]): Draws what to hide, such as ``MaskedMultimodalModeling``. Default: None, for a
            model that is never pretrained.

    Inputs:
        image (Optional[Tensor]): Normalised images of shape ``(b, 3, h, w)``.
        text (Optional[Tensor]): Token ids of shape ``(b, s)``.
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding.
        mask (Optional[MultimodalMask]): What to hide, from :meth:`draw_mask`. Default: None, nothing is hidden.

    Raises:
        ValueError: If neither an image nor a text was given, or their batch sizes differ.
    """

    def __init__(
        self,
        image_encoder: nn.Module,
        text_encoder: nn.Module,
        mm_encoder: nn.Module,
        image_to_mm: nn.Module,
        text_to_mm: nn.Module,
        image_projection: nn.Module,
        text_projection: nn.Module,
        masking: Optional[nn.Module] = None,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.mm_encoder = mm_encoder
        self.image_to_mm = image_to_mm
        self.text_to_mm = text_to_mm
        self.image_projection = image_projection
        self.text_projection = text_projection
        self.masking = masking

    def forward(
        self,
        image: Optional[Tensor] = None,
        text: Optional[Tensor] = None,
        text_padding: Optional[Tensor] = None,
        mask: Optional[MultimodalMask] = None,
    ) -> MMETOutput:
        check_modalities(image, text)
        encoded_image = None if image is None else self.encode_image(image, mask=mask)
        encoded_text = (
            None if text is None else self.encode_text(text, text_padding, mask=mask)
        )
        fused = self.encode_multimodal(encoded_image, encoded_text, text_padding)
        return MMETOutput(encoded_image, encoded_text, fused)

    @property
    def grid(self) -> Tuple[int, int]:
        """Rows and columns of the image encoder's patches."""
        return cast(ImageEncoder, self.image_encoder).grid

    def encode_image(
        self, image: Tensor, mask: Optional[MultimodalMask] = None
    ) -> EncoderOutput:
        """Image tokens of shape ``(b, 1 + n, d)``; the patches that ``mask`` hides are not seen."""
        masked_patches = None if mask is None else mask.masked_patches
        return self.image_encoder(image, masked_patches)

    def encode_text(
        self,
        text: Tensor,
        text_padding: Optional[Tensor] = None,
        mask: Optional[MultimodalMask] = None,
    ) -> EncoderOutput:
        """Text tokens of shape ``(b, s, d)``; the words that ``mask`` hides are not seen."""
        if mask is not None and mask.masked_text is not None:
            text = mask.masked_text
        return self.text_encoder(text, text_padding)

    def encode_multimodal(
        self,
        image: Optional[EncoderOutput] = None,
        text: Optional[EncoderOutput] = None,
        text_padding: Optional[Tensor] = None,
        image_padding: Optional[Tensor] = None,
    ) -> Tensor:
        """[CLS_M] and the fused tokens, of shape ``(b, 1 + n_image + n_text, d)``.

        Args:
            image (Optional[EncoderOutput]): From :meth:`encode_image`.
            text (Optional[EncoderOutput]): From :meth:`encode_text`, its batch in the same order.
            text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding.
            image_padding (Optional[Tensor]): Bool of shape ``(b, n)``, True at padding among the image's tokens.
                Default: None, as images have none unless patches were dropped.
        """
        tokens, padding = [], []
        if image is not None:
            tokens.append(self.image_to_mm(image.hidden))
            padding.append(image_padding)
        if text is not None:
            tokens.append(self.text_to_mm(text.hidden))
            padding.append(text_padding)
        if not tokens:
            raise ValueError(
                "got neither image nor text tokens to fuse, expected one of them or both"
            )
        return self.mm_encoder(torch.cat(tokens, dim=1), join_padding(tokens, padding))

    def draw_mask(
        self,
        image: Optional[Tensor] = None,
        text: Optional[Tensor] = None,
        generator: Optional[Draws] = None,
    ) -> MultimodalMask:
        """Draws afresh what to hide of this batch.

        Raises:
            ValueError: If the model was built without a masking module.
        """
        if self.masking is None:
            raise ValueError(
                "this MMET was built without a masking module; build it with masking= to pretrain it"
            )
        batch = image if image is not None else text
        if batch is None:
            raise ValueError(
                "got neither image nor text to mask, expected one of them or both"
            )
        return self.masking(
            grid=None if image is None else self.grid,
            text=text,
            batch_size=batch.shape[0],
            generator=generator,
            device=batch.device,
        )


def check_modalities(image: Optional[Tensor], text: Optional[Tensor]) -> None:
    """Raises a ValueError unless there is an image, a text, or as many of the one as of the other."""
    if image is None and text is None:
        raise ValueError("got neither image nor text, expected one of them or both")
    # shape[0] and not len: torch.export takes the latter for a constant
    if image is not None and text is not None and image.shape[0] != text.shape[0]:
        raise ValueError(
            f"got {len(image)} images and {len(text)} captions, expected as many of the one as of the other"
        )
