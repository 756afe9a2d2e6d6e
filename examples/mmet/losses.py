# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The losses of pretraining and of fine-tuning by name, from a batch. Their weights belong to the configuration."""

from typing import Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from examples.common.distributed import as_pairs, draws_of, gather_rows, GatheredRows
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
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask


class Contrast(NamedTuple):
    """A contrast by its loss's name, and the two kinds of rows that it compares."""

    name: str
    one: str
    other: str
    loss: IdentityContrastiveLoss


def contrast_losses() -> Tuple[IdentityContrastiveLoss, IdentityContrastiveLoss]:
    """The contrast that seeks a row's own pair, and the one that does not count it.

    A picture is no other picture of a person: found by itself it would teach nothing.
    """
    return IdentityContrastiveLoss(), IdentityContrastiveLoss(own_pair="ignore")


def contrast_all(
    contrasts: Sequence[Contrast],
    own: Mapping[str, Tensor],
    identity: Tensor,
    logit_scale: Union[float, Tensor],
) -> Dict[str, Tensor]:
    """Each contrast of which both kinds are there, over the rows of all processes; each kind is gathered once.

    The mean over the processes is the contrast of the whole batch, also where rows without a positive do not count.

    Args:
        contrasts (Sequence[Contrast]): Those to compute.
        own (Mapping[str, Tensor]): This process's rows by kind, of shape ``(b, d)``.
        identity (Tensor): Their identities, of shape ``(b,)``.
        logit_scale (Union[float, Tensor]): The inverse temperature.
    """
    here = [each for each in contrasts if each.one in own and each.other in own]
    used = {kind for each in here for kind in (each.one, each.other)}
    every = gather_rows({kind: own[kind] for kind in own if kind in used}, identity)
    return {
        each.name: each.loss(
            own[each.one],
            own[each.other],
            identity,
            identity,
            logit_scale,
            gathered=as_pairs(every[each.one], every[each.other]),
        )
        * (
            1.0
            if each.loss.own_pair == "positive"
            else _share(every[each.one], identity)
        )
        for each in here
    }


def _share(every: GatheredRows, identity: Tensor) -> Union[float, Tensor]:
    """Of the rows that have another one of their identity, how many this process has, relative to the others."""
    if len(every.identity) == len(identity):
        return 1.0
    counts = (every.identity.unsqueeze(1) == every.identity).sum(dim=1) > 1
    own = counts[every.offset : every.offset + len(identity)].sum()
    return own * (len(counts) / len(identity)) / counts.sum().clamp(min=1)


class PretrainingLosses:
    """Pretraining's losses by name: ``mim``, ``mlm``, ``mmm_image``, ``mmm_text``, ``itm`` and ``gc``; ``gc_image`` and
    ``gc_text`` are the global contrast among the images, or the captions, of the same persons and of others.

    Args:
        normalize (nn.Module): uint8 images to what the model takes.
        weights (Mapping[str, float]): Weight of each loss by name.
        seed (int): The run's seed, of the masks.
        draw_mask (Callable[..., MultimodalMask]): The model's own, from images, captions and the source of the draws.
    """

    def __init__(
        self,
        normalize: nn.Module,
        weights: Mapping[str, float],
        seed: int,
        draw_mask: Callable[..., MultimodalMask],
    ) -> None:
        self.normalize = normalize
        self.draw_mask = draw_mask
        self.weights = weights
        self.seed = seed
        self.pixels = MaskedRegressionLoss()
        self.words = MaskedClassificationLoss()
        self.matching = ImageTextMatchingLoss()
        pairs, others = contrast_losses()
        # neighbours as negatives teach each encoder what tells persons apart before the two agree on anything
        contrasts = (
            Contrast("gc", "image", "text", pairs),
            Contrast("gc_image", "image", "image", others),
            Contrast("gc_text", "text", "text", others),
        )
        self._contrasts = [one for one in contrasts if weights[one.name] > 0]

    def __call__(
        self, model: nn.Module, batch: PersonBatch, step: int
    ) -> Dict[str, Tensor]:
        output = model(
            None if batch.image is None else self.normalize(batch.image),
            batch.text,
            batch.text_padding,
            identity=batch.identity,
            generator=draws_of(batch, self.seed, "masks", step),
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
            own = {"image": output.image_embedding, "text": output.text_embedding}
            losses.update(
                contrast_all(self._contrasts, own, batch.identity, output.logit_scale)
            )
        return losses

    def count_rows(self, batch: PersonBatch, step: int) -> Dict[str, Tensor]:
        """How many words are masked: ``mlm`` and ``mmm_text`` are means over them. Every sample has as many patches."""
        if batch.text is None:
            return {}
        draws = draws_of(batch, self.seed, "masks", step)
        words = self.draw_mask(batch.image, batch.text, draws).masked_tokens
        assert words is not None
        return {"mlm": words.sum(), "mmm_text": words.sum()}


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
        pairs, others = contrast_losses()
        contrasts = (
            Contrast("contrast_image", "image", "image", others),
            Contrast("contrast_text", "text", "text", others),
            Contrast("contrast_cross", "image", "text", pairs),
            Contrast("contrast_fused", "image", "fused", others),
        )
        self._contrasts = [one for one in contrasts if weights[one.name] > 0]
        self.logit_scale = 1 / temperature

    def __call__(
        self, model: nn.Module, batch: PersonBatch, step: int
    ) -> Dict[str, Tensor]:
        image = None if batch.image is None else self.normalize(batch.image)
        output = model(image, batch.text, batch.text_padding)
        necks = {
            kind: neck for kind, neck in output._asdict().items() if neck is not None
        }
        losses = {
            f"identity_{kind}": self.identity(neck.logits.float(), batch.identity)
            for kind, neck in necks.items()
            if self.weights[f"identity_{kind}"] > 0
        }
        losses.update(self._mine(necks, batch.identity))
        behind = {
            kind: neck.normalized_embedding.float() for kind, neck in necks.items()
        }
        losses.update(
            contrast_all(self._contrasts, behind, batch.identity, self.logit_scale)
        )
        return losses

    def _mine(
        self, necks: Dict[str, BNNeckOutput], identity: Tensor
    ) -> Dict[str, Tensor]:
        """The triplet losses, of each kind among its own rows, and between images and captions."""
        own = {kind: neck.embedding for kind, neck in necks.items()}
        alone = [kind for kind in own if self.weights[f"triplet_{kind}"] > 0]
        cross = self.weights["triplet_cross"] > 0 and {"image", "text"} <= own.keys()
        used = {*alone, *(("image", "text") if cross else ())}
        every = gather_rows({kind: own[kind] for kind in own if kind in used}, identity)

        def mine(anchor: str, candidate: str) -> Tensor:
            rows = every[candidate]
            return self.triplet(
                own[anchor],
                identity,
                rows.embedding,
                rows.identity,
                self_offset=rows.offset if anchor == candidate else None,
            )

        losses = {f"triplet_{kind}": mine(kind, kind) for kind in alone}
        if cross:
            between = mine("image", "text") + mine("text", "image")
            losses["triplet_cross"] = between / 2
        return losses
