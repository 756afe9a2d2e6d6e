# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The pretraining steps that are compared: TorchMultimodal's FLAVA, and MMET that replaces or drops what is masked."""

from contextlib import nullcontext
from typing import Callable, Dict, Optional, Tuple

import torch
from benchmarks.pretraining_batch import Batch, CODES, pad_captions, Size
from examples.common.optim import fused_optimizer
from torch import nn, Tensor
from torchmultimodal.models.flava.model import flava_model
from torchmultimodal.modules.losses.flava import FLAVAPretrainingLoss
from torchmultimodal_reid.architectures.mmet_pretraining import MMETPretrainingOutput
from torchmultimodal_reid.models.mmet import mmet
from torchmultimodal_reid.models.mmet_pretraining import mmet_for_pretraining
from torchmultimodal_reid.modules.layers.attention_kernel import attention_kernel
from torchmultimodal_reid.modules.losses.identity_contrastive import (
    IdentityContrastiveLoss,
)
from torchmultimodal_reid.modules.losses.image_text_matching import (
    ImageTextMatchingLoss,
)
from torchmultimodal_reid.modules.losses.masked_prediction import (
    MaskedClassificationLoss,
)


class FlavaStep(nn.Module):
    """FLAVA on pairs: masked modelling by the multimodal encoder, image-text matching, global contrast."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        sizes = {}
        for part, n_layer in (
            ("image", size.image_layers),
            ("text", size.text_layers),
            ("multimodal", size.mm_layers),
        ):
            sizes[f"{part}_hidden_size"] = size.width
            sizes[f"{part}_num_attention_heads"] = size.heads
            sizes[f"{part}_num_hidden_layers"] = n_layer
            sizes[f"{part}_intermediate_size"] = 4 * size.width
        self.model = flava_model(
            **sizes,
            image_size=size.pixels,
            text_and_image_proj_size=size.width,
            max_position_embeddings=size.padded,
        )
        self.loss = FLAVAPretrainingLoss(hidden_size=size.width)
        self.wrong = max(1, round(size.negatives * size.batch))
        self.padded = size.padded

    def forward(self, batch: Batch) -> Tensor:
        batch = pad_captions(batch, self.padded)
        patches, words, masked_text = batch.mask
        seen = self.model(
            image=batch.image,
            text=batch.text,
            image_patches_mask=patches,
            text_masked=masked_text,
        )
        # FLAVA's data swaps some captions; these pairs count for image-text matching alone
        rows = torch.arange(len(batch.text), device=batch.text.device)
        is_match = rows >= self.wrong
        losses = self.loss(
            image_masked_sequence=seen.image_masked.last_hidden_state,
            text_masked_sequence=seen.text_masked.last_hidden_state,
            multimodal_masked_sequence=seen.multimodal_masked.last_hidden_state,
            itm_labels=is_match.long(),
            mim_labels=batch.codes.masked_fill(~patches, -1),
            mlm_labels=batch.text.masked_fill(~words, -1),
            projected_image_embeddings=seen.projected_image_embeddings,
            projected_text_embeddings=seen.projected_text_embeddings,
        ).losses
        terms = [
            losses.mmm_text_loss,
            losses.mmm_image_loss,
            losses.itm_loss,
            losses.global_contrastive_loss,
        ]
        assert all(term is not None for term in terms)
        return torch.stack([term.float() for term in terms]).sum()


class GivenCodes(nn.Module):
    """In the place of a codebook: says the codes that it was told."""

    codes: Tensor

    def forward(self, image: Tensor) -> Tensor:
        side = round(self.codes.shape[1] ** 0.5)
        return self.codes.unflatten(1, (side, side))


class MmetStep(nn.Module):
    """MMET on pairs, with the losses that FLAVA has for them, or with all of its own.

    Args:
        size (Size): Of model and batch.
        masked_stream (str): "replace" or "drop".
        unimodal (bool): Masked modelling by the unimodal encoders too. Default: False.
        pad (bool): Captions as long as FLAVA's, instead of as the batch's longest. Default: False.
        contrast_masked (Optional[bool]): As in ``mmet_for_pretraining``. Default: None.
        plain_attention (bool): Attention as the recipes compute it, or as torch chooses. Default: True.
        lean_loss (bool): This library's cross-entropy, or torch's. Default: True.
    """

    def __init__(
        self,
        size: Size,
        masked_stream: str,
        unimodal: bool = False,
        pad: bool = False,
        contrast_masked: Optional[bool] = None,
        plain_attention: bool = True,
        lean_loss: bool = True,
    ) -> None:
        super().__init__()
        self.padded = size.padded if pad else 0
        self.plain_attention = plain_attention
        sizes = {"projection_dim": size.width, "max_text_length": size.padded}
        for part, n_layer in (
            ("image", size.image_layers),
            ("text", size.text_layers),
            ("mm", size.mm_layers),
        ):
            sizes[f"{part}_d_model"] = size.width
            sizes[f"{part}_n_head"] = size.heads
            sizes[f"{part}_n_layer"] = n_layer
            sizes[f"{part}_dim_feedforward"] = 4 * size.width
        self.codebook = GivenCodes()
        self.model = mmet_for_pretraining(
            mmet(**sizes, image_size=(size.pixels, size.pixels)),
            mim=unimodal,
            mlm=unimodal,
            masked_stream=masked_stream,
            contrast_masked=contrast_masked,
            negative_share=size.negatives,
            codebook=self.codebook,
            codebook_size=CODES,
        )
        self.classify = (
            MaskedClassificationLoss() if lean_loss else nn.CrossEntropyLoss()
        )
        self.match = ImageTextMatchingLoss()
        self.contrast = IdentityContrastiveLoss()

    def forward(self, batch: Batch) -> Tensor:
        self.codebook.codes = batch.codes
        identity = torch.arange(len(batch.text), device=batch.text.device)
        if self.padded:
            batch = pad_captions(batch, self.padded)
        device = batch.image.device
        with attention_kernel(device) if self.plain_attention else nullcontext():
            out: MMETPretrainingOutput = self.model(
                batch.image,
                batch.text,
                batch.padding,
                identity=identity,
                mask=batch.mask,
            )
        terms = [
            self.classify(*part)
            for part in (out.mim, out.mlm, out.mmm_image, out.mmm_text)
            if part is not None
        ]
        terms.append(self.match(*out.itm))
        terms.append(
            self.contrast(
                out.image_embedding,
                out.text_embedding,
                identity,
                identity,
                out.logit_scale,
            )
        )
        return torch.stack(terms).sum()


CONTENDERS: Dict[str, Callable[[Size], nn.Module]] = {
    "flava": FlavaStep,
    "replace": lambda size: MmetStep(size, "replace"),
    "drop": lambda size: MmetStep(size, "drop"),
    "drop, all six losses": lambda size: MmetStep(size, "drop", unimodal=True),
    "replace, padded": lambda size: MmetStep(size, "replace", pad=True),
    "drop, contrast apart": lambda size: MmetStep(size, "drop", contrast_masked=False),
    "drop, torch's attention": lambda size: MmetStep(
        size, "drop", plain_attention=False
    ),
    "drop, torch's cross-entropy": lambda size: MmetStep(size, "drop", lean_loss=False),
}
# from FLAVA to drop, and drop without one thing
CHANGES = (
    "flava",
    "replace, padded",
    "replace",
    "drop, contrast apart",
    "drop",
    "drop, torch's attention",
    "drop, torch's cross-entropy",
)


def build(name: str, size: Size) -> Tuple[nn.Module, torch.optim.Optimizer]:
    """A contender and its optimizer, the same for all."""
    torch.manual_seed(0)
    model = CONTENDERS[name](size).train()
    weights = [{"params": [*model.parameters()]}]
    return model, fused_optimizer(torch.optim.AdamW, weights, lr=1e-4)
