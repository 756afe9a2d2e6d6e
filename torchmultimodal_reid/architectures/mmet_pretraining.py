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
    EncodedPart,
    MaskedStream,
    ReplaceStream,
    rows_of,
)
from torchmultimodal_reid.architectures.mmet import check_modalities, MMET
from torchmultimodal_reid.architectures.pretraining_output import (
    MatchPrediction,
    MMETPretrainingOutput,
    predict_masked,
)
from torchmultimodal_reid.modules.losses.image_text_matching import hard_negatives
from torchmultimodal_reid.modules.masking.draws import Draws, uniform
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask
from torchmultimodal_reid.modules.masking.row_draws import take_rows


class _Batch(NamedTuple):
    """What the forward pass is given."""

    image: Optional[Tensor]
    text: Optional[Tensor]
    text_padding: Optional[Tensor]
    identity: Optional[Tensor]


class _Encoded(NamedTuple):
    """What the masked stream's unimodal encoders made of a batch."""

    image: Optional[EncodedPart]
    text: Optional[EncodedPart]


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
            :class:`~torchmultimodal_reid.architectures.drop_stream.DropStream`. The heads have the width of its
            masked tokens. Default: None, a ``ReplaceStream``.
        mim_head (Optional[nn.Module]): Image tokens to predictions. Default: None, the term is left out.
        mlm_head (Optional[nn.Module]): Text tokens to logits. Default: None, the term is left out.
        mmm_image_head (Optional[nn.Module]): Fused image tokens to predictions. Default: None, the term is left out.
        mmm_text_head (Optional[nn.Module]): Fused text tokens to logits. Default: None, the term is left out.
        itm_head (Optional[nn.Module]): [CLS_M] to two logits. Default: None, the term is left out.
        masked_share (float): Share of the batch, evenly spread over it, that the masked losses and image-text matching
            learn from; the contrast, which learns from many samples at once, has all of it. Default: 1.0
        contrast_masked (bool): Take the contrastive embeddings from the masked stream, as FLIP does
            (https://arxiv.org/abs/2212.00794), which saves a second pass through both encoders; otherwise from a pass
            that sees everything, as FLAVA does. Default: False.
        contrast_whole_text (bool): With ``contrast_masked``, take captions from a pass that sees all words, as FLIP
            does too: hidden words cost it accuracy, and captions are short. Default: False.
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
            ``generator``; then ``masked_share`` of the batch learns from it, and all of it otherwise.
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
        contrast_whole_text: bool = False,
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
        if contrast_whole_text and not contrast_masked:
            raise ValueError(
                "contrast_whole_text is for a contrast of masked images, but contrast_masked is False: without it the "
                "contrast sees all of both"
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
        self.contrast_whole_text = contrast_whole_text
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
        whole = _Batch(image, text, text_padding, identity)
        before, after = (None, None) if mask is not None else self._rows(image, text)
        masked, draws = rows_of(whole, before), take_rows(generator, before)
        if mask is None:
            mask = self.mmet.draw_mask(masked.image, masked.text, draws)
        seen, encoded = self._masked_pass(masked, mask, after)
        # from here on, batch, mask and draws are of the rows that share in the masked losses
        batch, mask = rows_of(masked, after), rows_of(mask, after)
        draws = take_rows(draws, after)
        target = None
        if image is not None and self.image_targets is not None:
            with torch.no_grad():
                target = self.image_targets(batch.image)
        image_embedding, text_embedding = self._contrast(
            whole, seen if self.contrast_masked else _Encoded(None, None)
        )
        # the embeddings are of the whole batch, of which one of the two took rows
        rows = after if before is None else before
        negative = self._negatives(image_embedding, text_embedding, batch, rows, draws)
        fused, itm = self._fuse(encoded, negative, draws)
        tokens = cast(MaskedStream, self.stream).complete(*encoded, fused, mask)
        patches, words = mask.masked_patches, mask.masked_tokens
        return MMETPretrainingOutput(
            mim=predict_masked(self.mim_head, tokens.image, target, patches),
            mlm=predict_masked(self.mlm_head, tokens.text, batch.text, words),
            mmm_image=predict_masked(
                self.mmm_image_head, tokens.fused_image, target, patches
            ),
            mmm_text=predict_masked(
                self.mmm_text_head, tokens.fused_text, batch.text, words
            ),
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
        """What a forward pass with the same arguments hides of the rows that share in its masked losses."""
        before, after = self._rows(image, text)
        image, text = rows_of(image, before), rows_of(text, before)
        mask = self.mmet.draw_mask(image, text, take_rows(generator, before))
        return rows_of(mask, after)

    @property
    def logit_scale(self) -> Tensor:
        """The inverse temperature of the contrastive loss."""
        return self.log_logit_scale.squeeze(0).exp()

    @torch.no_grad()
    def bound_logit_scale(self) -> None:
        """Brings the inverse temperature back to its bound, as each forward pass begins by doing."""
        # the parameter itself, as in CLIP: a bound on what is made of it would have no gradient to come back by
        self.log_logit_scale.clamp_(max=math.log(self.max_logit_scale))

    def _rows(
        self, image: Optional[Tensor], text: Optional[Tensor]
    ) -> Tuple[Optional[Tensor], Optional[Tensor]]:
        """The rows of a batch that are masked, and those of the masked that share in the masked losses; None is all.

        Those that share are spread evenly, to be of as many persons as may be. More is masked for the contrast alone,
        which is of pairs.
        """
        if self.masked_share == 1:
            return None, None
        size = next(len(part) for part in (image, text) if part is not None)
        count = max(1, round(self.masked_share * size))
        rows = torch.arange(count) * size // count
        contrasts = image is not None and text is not None
        return (None, rows) if self.contrast_masked and contrasts else (rows, None)

    def _masked_pass(
        self, masked: _Batch, mask: MultimodalMask, after: Optional[Tensor]
    ) -> Tuple[_Encoded, _Encoded]:
        """What the contrast may read of the masked stream, and the rows ``after`` of it, for the masked losses."""
        if not self.contrast_whole_text:
            seen = self._encode(masked, mask)
            return seen, rows_of(seen, after)
        # the contrast sees all words, so only captions of those rows are masked
        seen = self._encode(masked._replace(text=None), mask)
        captions = rows_of(masked._replace(image=None), after)
        text = self._encode(captions, rows_of(mask, after)).text
        return seen, rows_of(seen, after)._replace(text=text)

    def _encode(self, batch: _Batch, mask: MultimodalMask) -> _Encoded:
        stream = cast(MaskedStream, self.stream)
        image, text = None, None
        if batch.image is not None:
            image = stream.encode_image(self.mmet, batch.image, mask)
        if batch.text is not None:
            text = stream.encode_text(self.mmet, batch.text, batch.text_padding, mask)
        return _Encoded(image, text)

    def _contrast(
        self, whole: _Batch, masked: _Encoded
    ) -> Tuple[Optional[Tensor], Optional[Tensor]]:
        """Embeddings of pairs, from what is there of the masked stream, else from a pass that sees everything."""
        if whole.image is None or whole.text is None:
            return None, None
        if masked.image is not None:
            image = masked.image.output
        else:
            image = self.mmet.encode_image(whole.image)
        if masked.text is not None:
            text = masked.text.output
        else:
            text = self.mmet.encode_text(whole.text, whole.text_padding)
        image_embedding = self.mmet.image_projection(image.cls).float()
        text_embedding = self.mmet.text_projection(text.cls).float()
        return (
            nn.functional.normalize(image_embedding, dim=-1),
            nn.functional.normalize(text_embedding, dim=-1),
        )

    def _negatives(
        self,
        image_embedding: Optional[Tensor],
        text_embedding: Optional[Tensor],
        batch: _Batch,
        rows: Optional[Tensor],
        generator: Optional[Draws],
    ) -> Optional[Tensor]:
        """A wrong caption for each image, by the contrast's similarities; None where nothing is matched."""
        if self.itm_head is None or image_embedding is None or text_embedding is None:
            return None
        identity = batch.identity
        if identity is None:
            raise ValueError(
                "image-text matching needs identity, to know which captions are of another person"
            )
        images = rows_of(image_embedding.detach(), rows)
        captions = rows_of(text_embedding.detach(), rows)
        similarity = images @ captions.T * self.logit_scale.detach()
        return hard_negatives(similarity, identity, identity, generator)

    def _fuse(
        self,
        encoded: _Encoded,
        negative: Optional[Tensor],
        generator: Optional[Draws],
    ) -> Tuple[Tensor, Optional[MatchPrediction]]:
        """One pass of the multimodal encoder over the pairs, behind which come the wrong ones, if any are matched."""
        if negative is None or self.itm_head is None:
            return self._fuse_parts(*encoded), None
        rows = (negative >= 0).nonzero().flatten()
        if self.negative_share < 1:
            order = uniform(negative.shape, generator, rows.device)[rows].argsort()
            rows = rows[order[: max(1, round(self.negative_share * len(negative)))]]
        own = torch.arange(len(negative), device=negative.device)
        images, captions = torch.cat([own, rows]), torch.cat([own, negative[rows]])
        # the decoders, which need the split, read the right pairs only
        parts = [
            None if part is None else part._replace(split=None) for part in encoded
        ]
        fused = self._fuse_parts(rows_of(parts[0], images), rows_of(parts[1], captions))
        is_match = torch.arange(len(fused), device=fused.device) < len(own)
        match = MatchPrediction(self.itm_head(fused[:, 0]), is_match)
        return fused[: len(own)], match

    def _fuse_parts(
        self, image: Optional[EncodedPart], text: Optional[EncodedPart]
    ) -> Tensor:
        return self.mmet.encode_multimodal(
            None if image is None else image.output,
            None if text is None else text.output,
            None if text is None else text.padding,
            None if image is None else image.padding,
        )
