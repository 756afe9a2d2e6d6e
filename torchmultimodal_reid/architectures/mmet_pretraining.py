# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math
from typing import cast, NamedTuple, Optional, Tuple

import torch
from torch import nn, Tensor
from torchmultimodal_reid.architectures.masked_streams import (
    EncodedStream,
    MaskedStream,
    ReplaceStream,
)
from torchmultimodal_reid.architectures.mmet import check_modalities, MMET
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput
from torchmultimodal_reid.modules.losses.image_text_matching import hard_negatives
from torchmultimodal_reid.modules.masking.draws import Draws, uniform
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask
from torchmultimodal_reid.modules.masking.row_draws import take_rows


class MaskedPrediction(NamedTuple):
    """A head's predictions at the masked positions, and what was there."""

    prediction: Tensor  # shape: (m, c)
    target: Tensor  # shape: (m, c) for pixels, (m,) for words and codes


class MatchPrediction(NamedTuple):
    """Whether a caption belongs to an image, as the model says and as it is."""

    logits: Tensor  # shape: (m, 2)
    is_match: Tensor  # shape: (m,), bool


class MMETPretrainingOutput(NamedTuple):
    """What the pretraining losses read; None where the batch lacks a modality or the head was left out."""

    mim: Optional[MaskedPrediction]
    mlm: Optional[MaskedPrediction]
    mmm_image: Optional[MaskedPrediction]
    mmm_text: Optional[MaskedPrediction]
    itm: Optional[MatchPrediction]
    image_embedding: Optional[Tensor]  # shape: (b, d), L2-normalised
    text_embedding: Optional[Tensor]  # shape: (b, d), L2-normalised
    logit_scale: Tensor  # scalar, already exponentiated


class MMETForPretraining(nn.Module):
    """MMET with the heads of Masked Multimodal Modelling (https://arxiv.org/abs/2304.09498, after FLAVA,
    https://arxiv.org/abs/2112.04482).

    One masked stream serves the masked losses: the unimodal heads read the unimodal encoders, the multimodal heads
    read the multimodal encoder. Image-text matching pairs each image of that stream with its own caption and with the
    hardest caption of another person, hardness being the contrastive similarity (https://arxiv.org/abs/2107.07651).
    A batch of images alone or of captions alone trains the heads of its modality.

    Args:
        mmet (MMET): Built with a masking module.
        image_targets (Optional[nn.Module]): Images to what the image heads predict, one target a patch. None leaves
            masked image modelling out.
        stream (Optional[nn.Module]): How the masked stream hides what the mask names: a
            :class:`~torchmultimodal_reid.architectures.masked_streams.ReplaceStream` or
            :class:`~torchmultimodal_reid.architectures.masked_streams.DropStream`. The heads have the width of its
            masked tokens. Default: None, a ``ReplaceStream``.
        mim_head (Optional[nn.Module]): Image tokens to predictions. Default: None, the term is left out.
        mlm_head (Optional[nn.Module]): Text tokens to logits. Default: None, the term is left out.
        mmm_image_head (Optional[nn.Module]): Fused image tokens to predictions. Default: None, the term is left out.
        mmm_text_head (Optional[nn.Module]): Fused text tokens to logits. Default: None, the term is left out.
        itm_head (Optional[nn.Module]): [CLS_M] to two logits. Default: None, the term is left out.
        masked_share (float): Share of the batch, evenly spread over it, that the masked stream sees; the contrast,
            which learns from many samples at once, sees all of it. Default: 1.0
        contrast_masked (bool): Take the contrastive embeddings from the masked stream, as FLIP does
            (https://arxiv.org/abs/2212.00794), which saves a second pass through both encoders; otherwise from a pass
            that sees everything, as FLAVA does. Default: False.
        negative_share (float): Share of the images that image-text matching also pairs with a wrong caption, one image
            at least, chosen at random; each is one more sample for the multimodal encoder. FLAVA's data swaps 10 % of
            the captions. Default: 1.0.
        init_logit_scale (float): The inverse temperature at first. Default: 1 / 0.07.
        max_logit_scale (float): Its upper bound. Default: 100.

    Inputs:
        image (Optional[Tensor]): Normalised images of shape ``(b, 3, h, w)``.
        text (Optional[Tensor]): Token ids of shape ``(b, s)``.
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding.
        identity (Optional[Tensor]): Long of shape ``(b,)``; needed by image-text matching, so that a caption of the
            same person is never a negative.
        mask (Optional[MultimodalMask]): What to hide of the whole batch. Default: None, drawn by the model from
            ``generator`` for the share of the batch that the masked stream sees.
        generator (Optional[Draws]): What the mask and the negatives are drawn from.
    """

    def __init__(
        self,
        mmet: MMET,
        image_targets: Optional[nn.Module] = None,
        mim_head: Optional[nn.Module] = None,
        mlm_head: Optional[nn.Module] = None,
        mmm_image_head: Optional[nn.Module] = None,
        mmm_text_head: Optional[nn.Module] = None,
        itm_head: Optional[nn.Module] = None,
        contrast_masked: bool = False,
        stream: Optional[nn.Module] = None,
        masked_share: float = 1.0,
        negative_share: float = 1.0,
        init_logit_scale: float = 1 / 0.07,
        max_logit_scale: float = 100.0,
    ) -> None:
        super().__init__()
        if not 0 < negative_share <= 1:
            raise ValueError(f"negative_share must be in (0, 1], got {negative_share}")
        if not 0 < masked_share <= 1:
            raise ValueError(f"masked_share must be in (0, 1], got {masked_share}")
        if contrast_masked and masked_share < 1:
            raise ValueError(
                f"contrast_masked takes the contrast of the whole batch from the masked stream, but masked_share is "
                f"{masked_share}; set it to 1, or contrast_masked to False"
            )
        self.mmet = mmet
        self.stream = ReplaceStream() if stream is None else stream
        self.image_targets = image_targets
        self.mim_head = mim_head
        self.mlm_head = mlm_head
        self.mmm_image_head = mmm_image_head
        self.mmm_text_head = mmm_text_head
        self.itm_head = itm_head
        self.contrast_masked = contrast_masked
        self.masked_share = masked_share
        self.negative_share = negative_share
        self.max_logit_scale = max_logit_scale
        # a row of one: weights that are shared out over processes (FSDP2) need a dimension
        self.log_logit_scale = nn.Parameter(torch.tensor([init_logit_scale]).log())

    def forward(
        self,
        image: Optional[Tensor] = None,
        text: Optional[Tensor] = None,
        text_padding: Optional[Tensor] = None,
        identity: Optional[Tensor] = None,
        mask: Optional[MultimodalMask] = None,
        generator: Optional[Draws] = None,
    ) -> MMETPretrainingOutput:
        check_modalities(image, text)
        self.bound_logit_scale()
        whole = image, text, text_padding
        if mask is None:
            # not of the contrast: from here on image, text and identity are those of the masked stream
            image, text, text_padding, identity = self._share(*whole, identity)
            generator = self._shared_draws(generator, *whole)
            mask = self.mmet.draw_mask(image, text, generator)
        stream = cast(MaskedStream, self.stream)
        encoded = stream.encode(self.mmet, image, text, text_padding, mask)
        target = None
        if image is not None and self.image_targets is not None:
            with torch.no_grad():
                target = self.image_targets(image)

        image_embedding, text_embedding = self._contrast(
            *whole, encoded.image, encoded.text
        )
        negative = None
        if self.itm_head is not None and image is not None and text is not None:
            if identity is None:
                raise ValueError(
                    "image-text matching needs identity, to know which captions are of another person"
                )
            assert image_embedding is not None and text_embedding is not None
            similarity = image_embedding.detach() @ text_embedding.detach().T
            similarity = similarity * self.logit_scale.detach()
            if len(similarity) != len(image):
                rows = self._shared_rows(len(similarity))
                similarity = similarity[rows][:, rows]
            negative = hard_negatives(similarity, identity, identity, generator)
        fused, itm = self._fuse(encoded, negative, generator)
        tokens = stream.complete(encoded, fused, mask)
        patches, words = mask.masked_patches, mask.masked_tokens
        return MMETPretrainingOutput(
            mim=predict_masked(self.mim_head, tokens.image, target, patches),
            mlm=predict_masked(self.mlm_head, tokens.text, text, words),
            mmm_image=predict_masked(
                self.mmm_image_head, tokens.fused_image, target, patches
            ),
            mmm_text=predict_masked(self.mmm_text_head, tokens.fused_text, text, words),
            itm=itm,
            image_embedding=image_embedding,
            text_embedding=text_embedding,
            logit_scale=self.logit_scale,
        )

    def draw_mask(
        self,
        image: Optional[Tensor] = None,
        text: Optional[Tensor] = None,
        generator: Optional[Draws] = None,
    ) -> MultimodalMask:
        """What a forward pass with the same arguments hides of the share of the batch that its masked stream sees."""
        generator = self._shared_draws(generator, image, text)
        image, text = self._share(image, text)
        return self.mmet.draw_mask(image, text, generator)

    @property
    def logit_scale(self) -> Tensor:
        """The inverse temperature of the contrastive loss."""
        return self.log_logit_scale.squeeze(0).exp()

    @torch.no_grad()
    def bound_logit_scale(self) -> None:
        """Brings the inverse temperature back to its bound, as each forward pass begins by doing."""
        # the parameter itself, as in CLIP: a bound on what is made of it would have no gradient to come back by
        self.log_logit_scale.clamp_(max=math.log(self.max_logit_scale))

    def _share(self, *parts: Optional[Tensor]) -> Tuple[Optional[Tensor], ...]:
        """The rows of a batch that the masked stream sees: all, or evenly spread ones, of as many persons as may be."""
        if self.masked_share == 1:
            return parts
        rows = self._shared_rows(next(len(part) for part in parts if part is not None))
        return tuple(None if part is None else part[rows] for part in parts)

    def _shared_draws(
        self, draws: Optional[Draws], *parts: Optional[Tensor]
    ) -> Optional[Draws]:
        if self.masked_share == 1:
            return draws
        size = next(len(part) for part in parts if part is not None)
        return take_rows(draws, self._shared_rows(size))

    def _shared_rows(self, size: int) -> Tensor:
        count = max(1, round(self.masked_share * size))
        return torch.arange(count) * size // count

    def _contrast(
        self,
        image: Optional[Tensor],
        text: Optional[Tensor],
        text_padding: Optional[Tensor],
        masked_image: Optional[EncoderOutput],
        masked_text: Optional[EncoderOutput],
    ) -> Tuple[Optional[Tensor], Optional[Tensor]]:
        if image is None or text is None:
            return None, None
        if self.contrast_masked:
            assert masked_image is not None and masked_text is not None
            image_cls, text_cls = masked_image.cls, masked_text.cls
        else:
            image_cls = self.mmet.encode_image(image).cls
            text_cls = self.mmet.encode_text(text, text_padding).cls
        return (
            nn.functional.normalize(
                self.mmet.image_projection(image_cls).float(), dim=-1
            ),
            nn.functional.normalize(
                self.mmet.text_projection(text_cls).float(), dim=-1
            ),
        )

    def _fuse(
        self,
        encoded: EncodedStream,
        negative: Optional[Tensor],
        generator: Optional[Draws],
    ) -> Tuple[Tensor, Optional[MatchPrediction]]:
        """One pass of the multimodal encoder over the pairs, behind which come the wrong ones, if any are matched."""
        image, text, image_padding, text_padding, *_ = encoded
        if negative is None or self.itm_head is None:
            fused = self.mmet.encode_multimodal(
                image, text, text_padding, image_padding
            )
            return fused, None
        assert image is not None and text is not None
        rows = (negative >= 0).nonzero().flatten()
        if self.negative_share < 1:
            order = uniform(negative.shape, generator, rows.device)[rows].argsort()
            rows = rows[order[: max(1, round(self.negative_share * len(negative)))]]
        own = torch.arange(len(negative), device=negative.device)
        images, captions = torch.cat([own, rows]), torch.cat([own, negative[rows]])
        fused = self.mmet.encode_multimodal(
            _take(image, images),
            _take(text, captions),
            None if text_padding is None else text_padding[captions],
            None if image_padding is None else image_padding[images],
        )
        is_match = torch.arange(len(fused), device=fused.device) < len(own)
        match = MatchPrediction(self.itm_head(fused[:, 0]), is_match)
        return fused[: len(own)], match


def _take(encoded: EncoderOutput, rows: Tensor) -> EncoderOutput:
    return EncoderOutput(*(part[rows] for part in encoded))


def predict_masked(
    head: Optional[nn.Module],
    tokens: Optional[Tensor],
    target: Optional[Tensor],
    masked: Optional[Tensor],
) -> Optional[MaskedPrediction]:
    """Runs ``head`` on the tokens at the masked positions.

    Args:
        head (Optional[nn.Module]): Tokens ``(m, d)`` to predictions ``(m, c)``.
        tokens (Optional[Tensor]): Tokens at the masked positions, sample by sample, of shape ``(m, d)``.
        target (Optional[Tensor]): What stands at each position, ``(b, n)`` or ``(b, n, c)``.
        masked (Optional[Tensor]): Bool of shape ``(b, n)``, True at the ``m`` masked positions.

    Returns:
        Optional[MaskedPrediction]: None if any of the four is missing.

    Raises:
        ValueError: If there are not as many targets as positions.
    """
    if head is None or tokens is None or target is None or masked is None:
        return None
    if target.shape[1] != masked.shape[1]:
        raise ValueError(
            f"got {target.shape[1]} targets in a sample for its {masked.shape[1]} tokens, expected one a token; "
            "is the targets' patch_size the image encoder's?"
        )
    return MaskedPrediction(head(tokens), target[masked])
