# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Dict, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.ranking import (
    evaluate_ranking,
    QueryRanks,
    rank_queries,
    RankingMetrics,
)


@dataclass(frozen=True)
class EvaluationProtocol:
    """What is asked of which gallery, and how answers are counted. Its fields are the stamp on every result.

    Args:
        name (str): Name, unique together with the version.
        version (int): Rises whenever the same features would be given other numbers.
        query (str): What the embedding of a query was made from: ``"image"``, ``"text"`` or ``"image+text"``.
        camera_filter (bool): Whether gallery images of the query's identity and the query's camera are dropped.
        average_precision (str): Which average precision is reported as mAP: ``"hits"`` (mean of the precision at each
            hit, as torchreid, fast-reid and TransReID), ``"trapezoid"`` (as Market-1501's Matlab code) or ``"none"``,
            where the rules define none. Default: ``"hits"``
        metric (str): ``"cosine"`` or ``"euclidean"``.
        note (str): What a reader of the number must know.
        own_image_filter (bool): Whether the gallery entry that is the query's own image is dropped, and nothing else,
            for data without camera numbers. The features then hold the images' numbers from :func:`number_images` in
            place of cameras. Default: ``False``
        gallery_draws (int): How often a gallery of one image of each person is drawn from the cameras that are not the
            query's, see :func:`~torchmultimodal_reid.evaluation.gallery_draws.draw_galleries`; the result is the mean
            over the draws. Default: 0, the gallery is searched as it is
    """

    name: str
    version: int
    query: str
    camera_filter: bool
    average_precision: str = "hits"
    metric: str = "cosine"
    note: str = ""
    own_image_filter: bool = False
    gallery_draws: int = 0

    @property
    def drops_matches(self) -> bool:
        """Whether what stands in ``Features.camera`` decides which matches are dropped."""
        return self.camera_filter or self.own_image_filter


_SKIPPED = (
    "Queries without a match are skipped and counted. Junk (identity -1) is dropped, distractors count as wrong. "
    "Ties rank in the gallery's order."
)

_CATALOGUE = (
    EvaluationProtocol(
        "image-to-image",
        1,
        "image",
        camera_filter=True,
        note="Gallery images of the query's identity and camera are dropped. "
        + _SKIPPED,
    ),
    EvaluationProtocol(
        "text-to-image",
        1,
        "text",
        camera_filter=False,
        note="As on CUHK-PEDES: every gallery image counts, a match is of the same identity. "
        + _SKIPPED,
    ),
    EvaluationProtocol(
        "text-to-image-cross-camera",
        1,
        "text",
        camera_filter=True,
        note="Gallery images of the described person under the described image's camera are dropped, so that the "
        "number stands beside those of image queries. " + _SKIPPED,
    ),
    EvaluationProtocol(
        "image+text-to-image",
        1,
        "image+text",
        camera_filter=True,
        note="Gallery images of the query's identity and camera are dropped. "
        + _SKIPPED,
    ),
    EvaluationProtocol(
        "image-to-image-no-camera",
        1,
        "image",
        camera_filter=False,
        note="Without camera numbers: every gallery image counts but the query's own. Images of the query's camera are "
        "easy matches, so the number is higher than under image-to-image. " + _SKIPPED,
        own_image_filter=True,
    ),
    EvaluationProtocol(
        "image+text-to-image-no-camera",
        1,
        "image+text",
        camera_filter=False,
        note="Without camera numbers: every gallery image counts but the query's own. Images of the query's camera are "
        "easy matches, so the number is higher than under image+text-to-image. "
        + _SKIPPED,
        own_image_filter=True,
    ),
    EvaluationProtocol(
        "image-to-image-single-shot",
        1,
        "image",
        camera_filter=False,
        note="One gallery image of each person, of another view than the query; the mean over seeded splits whose hash "
        "stands on the result. " + _SKIPPED,
    ),
    EvaluationProtocol(
        "image-to-image-single-gallery",
        1,
        "image",
        camera_filter=False,
        average_precision="none",
        note="CUHK03's classic protocol: each image is searched in one random image of each person from the other "
        "camera; the mean over 10 seeded draws, whose hash stands on the result. No mAP is defined. "
        + _SKIPPED,
        gallery_draws=10,
    ),
)

PROTOCOLS: Dict[str, EvaluationProtocol] = {
    protocol.name: protocol for protocol in _CATALOGUE
}


def get_protocol(name: str) -> EvaluationProtocol:
    """The protocol of that name.

    Raises:
        ValueError: If there is none; the nearest name is told.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    near = get_close_matches(name, PROTOCOLS, n=1, cutoff=0.0)[0]
    raise ValueError(
        f"unknown protocol {name!r}; did you mean {near!r}? Known: {', '.join(PROTOCOLS)}"
    )


def number_images(
    query: Sequence[str], gallery: Sequence[str]
) -> Tuple[Tensor, Tensor]:
    """Numbers for images, to stand in ``Features.camera`` under a protocol that drops only the query's own image.

    Args:
        query (Sequence[str]): Path of each query's image.
        gallery (Sequence[str]): Path of each gallery image.

    Returns:
        Tuple[Tensor, Tensor]: Numbers of queries ``(q,)`` and gallery ``(n,)``, long; equal where the paths are.

    Raises:
        ValueError: If the gallery holds an image twice.
    """
    numbers: Dict[str, int] = {}
    for path in gallery:
        if path in numbers:
            raise ValueError(
                f"the gallery holds {path} twice; a protocol without cameras needs each image once"
            )
        numbers[path] = len(numbers)
    asked = [numbers.setdefault(path, len(numbers)) for path in query]
    return torch.tensor(asked, dtype=torch.long), torch.arange(len(gallery))


def filter_labels(
    protocol: EvaluationProtocol, query: Features, gallery: Features
) -> Tuple[Optional[Tensor], Optional[Tensor]]:
    """What decides which matches are dropped: cameras, numbers of images, or ``(None, None)`` where nothing is.

    Raises:
        ValueError: If numbers of images are expected and the gallery's are not distinct.
    """
    if not protocol.drops_matches:
        return None, None
    if protocol.own_image_filter and len(gallery.camera.unique()) < len(gallery.camera):
        raise ValueError(
            f"{protocol.name} drops only the query's own image: put the numbers of number_images() in the place of "
            "the cameras"
        )
    return query.camera, gallery.camera


def evaluate_protocol(
    protocol: EvaluationProtocol,
    query: Features,
    gallery: Features,
    *,
    max_rank: int = 50,
    device: Optional[Union[str, torch.device]] = None,
    tpr_at_fpr: Optional[Sequence[float]] = None,
) -> RankingMetrics:
    """:func:`~torchmultimodal_reid.evaluation.ranking.evaluate_ranking` under a protocol.

    Args:
        protocol (EvaluationProtocol): The rules.
        query (Features): One row a query.
        gallery (Features): One row a gallery image.
        max_rank (int): Length of the CMC curve. Default: 50
        device (Optional[Union[str, torch.device]]): Where to compute. Default: ``None``, where the gallery is
        tpr_at_fpr (Optional[Sequence[float]]): False positive rates. Default: ``None``
    """
    query_labels, gallery_labels = filter_labels(protocol, query, gallery)
    return evaluate_ranking(
        query.embedding,
        gallery.embedding,
        query.identity,
        gallery.identity,
        query_labels,
        gallery_labels,
        metric=protocol.metric,
        max_rank=max_rank,
        device=device,
        tpr_at_fpr=tpr_at_fpr,
    )


def rank_protocol(
    protocol: EvaluationProtocol,
    query: Features,
    gallery: Features,
    *,
    device: Optional[Union[str, torch.device]] = None,
) -> QueryRanks:
    """What each query found under a protocol; arguments as for :func:`evaluate_protocol`."""
    query_labels, gallery_labels = filter_labels(protocol, query, gallery)
    return rank_queries(
        query.embedding,
        gallery.embedding,
        query.identity,
        gallery.identity,
        query_labels,
        gallery_labels,
        metric=protocol.metric,
        device=device,
    )
