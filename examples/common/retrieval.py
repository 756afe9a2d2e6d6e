# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Queries of three kinds over one gallery, for the validation of a training run and for its evaluation."""

import sys
from typing import Callable, Dict, List, Optional, Protocol, Sequence, Tuple

from accelerate import Accelerator
from examples.common.data import check_captions
from examples.common.loaders import evaluation_loader
from examples.common.retrieval_features import (
    RetrievalFeatures,
    uses_cameras,
    without_cameras,
)
from torch import Tensor
from torchmultimodal_reid.data.collate import Collate, PersonBatch
from torchmultimodal_reid.data.dataset import PersonDataset
from torchmultimodal_reid.data.sample import expand_captions, PersonImage, ReIDSplit
from torchmultimodal_reid.evaluation.extract import extract, Features
from torchmultimodal_reid.evaluation.protocols import evaluate_protocol
from torchmultimodal_reid.evaluation.report import ResultRow
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import EvalImageTransform, Normalize

Embed = Callable[[Optional[Tensor], Optional[Tensor], Optional[Tensor]], Tensor]


class ImageDescription(Protocol):
    """What a checkpoint says of the images that its model takes."""

    @property
    def image_size(self) -> Tuple[int, int]:
        """Height and width in pixels."""
        ...

    @property
    def mean(self) -> Tuple[float, ...]:
        """Per channel, of pixels in 0..1."""
        ...

    @property
    def std(self) -> Tuple[float, ...]:
        """Per channel, of pixels in 0..1."""
        ...


class Retrieval:
    """Embeds a split's gallery and queries without augmentation, masking or dropped rows.

    Args:
        split (ReIDSplit): Query and gallery are read; each caption of a query image is a text query of its own.
        description (ImageDescription): Image size and normalisation.
        kinds (Sequence[str]): Kinds of queries, out of "image", "text" and "image+text". Those with text are left
            out if no query image has a caption.
        accelerator (Accelerator): Device and processes.
        read (Optional[CaptionTransform]): How the model reads captions. Default: None, for a model of images alone.
        batch_size (int): Rows at a time. Default: 128.
        workers (int): Processes that load images. Default: 0.
    """

    def __init__(
        self,
        split: ReIDSplit,
        description: ImageDescription,
        kinds: Sequence[str],
        accelerator: Accelerator,
        read: Optional[CaptionTransform] = None,
        batch_size: int = 128,
        workers: int = 0,
    ) -> None:
        self.accelerator = accelerator
        self.batch_size = batch_size
        self.workers = workers
        self.collate = Collate(0 if read is None else read.tokenizer.pad_id)
        self.normalize = Normalize(description.mean, description.std).to(
            accelerator.device
        )
        see = EvalImageTransform(description.image_size)
        described = () if read is None else expand_captions(split.query)
        self.images: Dict[str, Sequence[PersonImage]] = {"image": split.query}
        if described:
            self.images.update({"text": described, "image+text": described})
        self.images = {kind: self.images[kind] for kind in kinds if kind in self.images}
        if read is not None and "text" in self.images:
            check_captions(described, read)
        self.uses_cameras = uses_cameras(split)
        self.gallery_images = split.gallery
        self._gallery = PersonDataset(split.gallery, see)
        self._queries = {
            kind: PersonDataset(
                images,
                see if "image" in kind else None,
                read if "text" in kind else None,
            )
            for kind, images in self.images.items()
        }

    def extract(self, embed: Embed) -> RetrievalFeatures:
        """Features of everything, by ``embed(image, text, text_padding)``."""
        gallery = self._extract(embed, self._gallery, "gallery")
        queries = {
            kind: self._extract(embed, dataset, f"{kind} queries")
            for kind, dataset in self._queries.items()
        }
        found = RetrievalFeatures(gallery, queries, self.gallery_images, self.images)
        return found if self.uses_cameras else without_cameras(found)

    def _extract(
        self, embed: Embed, dataset: PersonDataset, description: str
    ) -> Features:
        def embed_batch(batch: PersonBatch) -> Tensor:
            image = None if batch.image is None else self.normalize(batch.image)
            with self.accelerator.autocast():
                return embed(image, batch.text, batch.text_padding).float()

        loader = evaluation_loader(
            dataset,
            self.collate,
            batch_size=self.batch_size,
            workers=self.workers,
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
        )
        return extract(
            embed_batch,
            loader,
            device=self.accelerator.device,
            num_rows=len(dataset),
            description=description,
            progress=sys.stderr.isatty(),
        )


def rank_queries(features: RetrievalFeatures) -> List[ResultRow]:
    """One row of the results table for each kind of query."""
    rows = []
    for kind, query in features.query.items():
        protocol = features.protocols[kind]
        rows.append(
            ResultRow(
                f"{kind} query",
                protocol,
                evaluate_protocol(protocol, query, features.gallery),
            )
        )
    return rows


def validation_metrics(rows: Sequence[ResultRow]) -> Dict[str, float]:
    """mAP and rank-1 of each kind of query, and their mean mAP as what the best model is selected by."""
    metrics: Dict[str, float] = {}
    for row in rows:
        kind = row.protocol.query
        metrics[f"{kind}_mAP"] = row.metrics.mAP
        metrics[f"{kind}_rank1"] = float(row.metrics.cmc[0])
    metrics["selection"] = sum(row.metrics.mAP for row in rows) / len(rows)
    return metrics


def validate(retrieval: Retrieval, embed: Embed) -> Dict[str, float]:
    """The validation metrics of a model, by how it embeds."""
    return validation_metrics(rank_queries(retrieval.extract(embed)))
