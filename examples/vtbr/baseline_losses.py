# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The losses of the baseline's fine-tuning by name, from a batch. Their weights belong to the configuration."""

from typing import Dict, Mapping, Optional

from examples.common.distributed import gather_rows
from torch import nn, Tensor
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.modules.losses.center import CenterLoss
from torchmultimodal_reid.modules.losses.triplet import BatchHardTripletLoss


class BaselineLosses:
    """``identity`` on the logits, ``triplet`` and ``center`` on the embeddings before the neck. Those of weight 0 are
    not computed.

    Args:
        normalize (nn.Module): uint8 images to what the model takes.
        weights (Mapping[str, float]): Weight of each loss by name.
        label_smoothing (float): Of the identity loss.
        margin (Optional[float]): Of the triplet loss; None for a soft margin.
        center (Optional[CenterLoss]): With the centres that the run saves. None where its weight is 0.
    """

    def __init__(
        self,
        normalize: nn.Module,
        weights: Mapping[str, float],
        label_smoothing: float,
        margin: Optional[float],
        center: Optional[CenterLoss],
    ) -> None:
        self.normalize = normalize
        self.weights = weights
        self.identity = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
        self.triplet = BatchHardTripletLoss(margin)
        self.center = center

    def __call__(
        self, model: nn.Module, batch: PersonBatch, step: int
    ) -> Dict[str, Tensor]:
        output = model(self.normalize(batch.image))
        losses = {}
        if self.weights["identity"] > 0:
            losses["identity"] = self.identity(output.logits.float(), batch.identity)
        every = gather_rows({"image": output.embedding}, batch.identity)["image"]
        if self.weights["triplet"] > 0:
            losses["triplet"] = self.triplet(
                output.embedding,
                batch.identity,
                every.embedding,
                every.identity,
                self_offset=every.offset,
            )
        if self.center is not None:
            losses["center"] = self.center(
                output.embedding, batch.identity, every.embedding, every.identity
            )
        return losses
