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
    """Pretraining's losses by name: ``mim``, ``mlm``, ``mmm_image``, ``mmm_text``, ``itm`` and ``gc``; ``gc_image`` and
    ``gc_text`` are the global contrast among the images, or the captions, of the same persons and of others.
    """

    def __init__(
        self, normalize: nn.Module, weights: Mapping[str, float], seed: int, rank: int
    ) -> None:
        self.normalize = normalize
        self.weights = weights
        self.seed = seed
        self.rank = rank
        self.pixels = MaskedRegressionLoss()
        self.words = MaskedClassificationLoss()
        self.matching = ImageTextMatchingLoss()
        self.contrast = IdentityContrastiveLoss()
        self.contrast_others = IdentityContrastiveLoss(own_pair="ignore")

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
            image, text = output.image_embedding, output.text_embedding
            # neighbours as negatives teach each encoder what tells persons apart before the two agree on anything
            for name, one, other, contrast in (
                ("gc", image, text, self.contrast),
                ("gc_image", image, image, self.contrast_others),
                ("gc_text", text, text, self.contrast_others),
            ):
                if self.weights[name] > 0:
                    losses[name] = contrast(
                        one,
                        other,
                        batch.identity,
                        batch.identity,
                        output.logit_scale,
                        gathered=gather_pairs(one, other, batch.identity),
                    )
        return losses


class ReIDLosses:
    """Fine-tuning's losses by name: ``identity_`` and ``triplet_`` of ``fused``, ``image`` and ``text``;
    ``triplet_cross`` between image and text embeddings before the neck; and contrasts behind it, where a search
    compares them: ``contrast_image`` among images, ``contrast_text`` among captions, ``contrast_cross`` between images
    and captions, ``contrast_fused`` between images with captions and other images. Those of weight 0 are not computed.
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
        self.contrast_pairs = IdentityContrastiveLoss()
        # a picture is no other picture of a person: found by itself it would teach nothing
        self.contrast_others = IdentityContrastiveLoss(own_pair="ignore")
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
        if output.image is not None and output.text is not None:
            if self.weights["triplet_cross"] > 0:
                one, other = output.image.embedding, output.text.embedding
                losses["triplet_cross"] = (
                    self._mine(one, other, batch.identity, False)
                    + self._mine(other, one, batch.identity, False)
                ) / 2
        for name, one, other, contrast in (
            ("image", output.image, output.image, self.contrast_others),
            ("text", output.text, output.text, self.contrast_others),
            ("cross", output.image, output.text, self.contrast_pairs),
            ("fused", output.image, output.fused, self.contrast_others),
        ):
            wanted = self.weights[f"contrast_{name}"] > 0
            if wanted and one is not None and other is not None:
                losses[f"contrast_{name}"] = self._contrast(
                    contrast, one, other, batch.identity
                )
        return losses

    def _contrast(
        self,
        contrast: IdentityContrastiveLoss,
        one: BNNeckOutput,
        other: BNNeckOutput,
        identity: Tensor,
    ) -> Tensor:
        rows, columns = (
            nn.functional.normalize(neck.normalized_embedding.float(), dim=-1)
            for neck in (one, other)
        )
        pairs = gather_pairs(rows, columns, identity)
        return contrast(
            rows, columns, identity, identity, self.logit_scale, gathered=pairs
        )

    def _mine(
        self, anchor: Tensor, candidate: Tensor, identity: Tensor, is_self: bool
    ) -> Tensor:
        gathered = gather_rows(candidate, identity)
        offset = gathered.offset if is_self else None
        return self.triplet(
            anchor, identity, gathered.embedding, gathered.identity, self_offset=offset
        )
