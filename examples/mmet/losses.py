# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The losses of pretraining and of fine-tuning by name, from a batch. Their weights belong to the configuration."""

from typing import Dict, Mapping, Optional

from examples.common.distributed import gather_pairs, gather_rows
from torch import nn, Tensor
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.modules.layers.bnneck import BNNeckOutput
from torchmultimodal_reid.modules.losses.identity_contrastive import (
    IdentityContrastiveLoss,
)
from torchmultimodal_reid.modules.losses.image_text_matching import (
    ImageTextMatchingLoss,
)
from torchmultimodal_reid.modules.losses.masked_prediction import (
    MaskedClassificationLoss,
    MaskedRegressionLoss,
)
from torchmultimodal_reid.modules.losses.triplet import BatchHardTripletLoss
from torchmultimodal_reid.utils.seeding import generator_for


class PretrainingLosses:
    """Pretraining's losses by name: ``mim``, ``mlm``, ``mmm_image``, ``mmm_text``, ``itm`` and ``gc``."""

    def __init__(self, normalize: nn.Module, seed: int, rank: int) -> None:
        self.normalize = normalize
        self.seed = seed
        self.rank = rank
        self.pixels = MaskedRegressionLoss()
        self.words = MaskedClassificationLoss()
        self.matching = ImageTextMatchingLoss()
        self.contrast = IdentityContrastiveLoss()

    def __call__(
        self, model: nn.Module, batch: PersonBatch, step: int
    ) -> Dict[str, Tensor]:
        output = model(
            None if batch.image is None else self.normalize(batch.image),
            batch.text,
            batch.text_padding,
            identity=batch.identity,
            generator=generator_for(self.seed, "masks", step, self.rank),
        )
        losses = {}
        for name, prediction, loss in (
            ("mim", output.mim, self.pixels),
            ("mlm", output.mlm, self.words),
            ("mmm_image", output.mmm_image, self.pixels),
            ("mmm_text", output.mmm_text, self.words),
            ("itm", output.itm, self.matching),
        ):
            if prediction is not None:
                losses[name] = loss(*prediction)
        if output.image_embedding is not None:
            losses["gc"] = self.contrast(
                output.image_embedding,
                output.text_embedding,
                batch.identity,
                batch.identity,
                output.logit_scale,
                gathered=gather_pairs(
                    output.image_embedding, output.text_embedding, batch.identity
                ),
            )
        return losses


class ReIDLosses:
    """Fine-tuning's losses by name: ``identity_`` and ``triplet_`` of ``fused``, ``image`` and ``text``;
    ``triplet_cross`` between image and text embeddings before the neck; ``contrast_text`` and ``contrast_fused``
    between these and image embeddings behind it, where a search compares them. Those of weight 0 are not computed.
    """

    def __init__(
        self,
        normalize: nn.Module,
        weights: Mapping[str, float],
        label_smoothing: float,
        margin: Optional[float],
        temperature: float,
    ) -> None:
        self.normalize = normalize
        self.weights = weights
        self.identity = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
        self.triplet = BatchHardTripletLoss(margin)
        self.contrast = IdentityContrastiveLoss()
        self.logit_scale = 1 / temperature

    def __call__(
        self, model: nn.Module, batch: PersonBatch, step: int
    ) -> Dict[str, Tensor]:
        image = None if batch.image is None else self.normalize(batch.image)
        output = model(image, batch.text, batch.text_padding)
        losses = {}
        for kind, neck in output._asdict().items():
            if neck is None:
                continue
            if self.weights[f"identity_{kind}"] > 0:
                losses[f"identity_{kind}"] = self.identity(
                    neck.logits.float(), batch.identity
                )
            if self.weights[f"triplet_{kind}"] > 0:
                losses[f"triplet_{kind}"] = self._mine(
                    neck.embedding, neck.embedding, batch.identity, True
                )
        if output.image is None or output.text is None:
            return losses
        if self.weights["triplet_cross"] > 0:
            one, other = output.image.embedding, output.text.embedding
            losses["triplet_cross"] = (
                self._mine(one, other, batch.identity, False)
                + self._mine(other, one, batch.identity, False)
            ) / 2
        for kind, neck in (("text", output.text), ("fused", output.fused)):
            if self.weights[f"contrast_{kind}"] > 0:
                losses[f"contrast_{kind}"] = self._contrast(
                    output.image, neck, batch.identity
                )
        return losses

    def _contrast(
        self, image: BNNeckOutput, other: BNNeckOutput, identity: Tensor
    ) -> Tensor:
        one, two = (
            nn.functional.normalize(neck.normalized_embedding.float(), dim=-1)
            for neck in (image, other)
        )
        pairs = gather_pairs(one, two, identity)
        return self.contrast(
            one, two, identity, identity, self.logit_scale, gathered=pairs
        )

    def _mine(
        self, anchor: Tensor, candidate: Tensor, identity: Tensor, is_self: bool
    ) -> Tensor:
        gathered = gather_rows(candidate, identity)
        offset = gathered.offset if is_self else None
        return self.triplet(
            anchor, identity, gathered.embedding, gathered.identity, self_offset=offset
        )
