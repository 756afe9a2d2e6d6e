# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Iterable, Iterator, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.distance import (
    default_chunk_size,
    distance_chunks,
    DistanceChunk,
    QueryDistances,
)
from torchmultimodal_reid.evaluation.matches import Labels, Matches
from torchmultimodal_reid.evaluation.query_ranks import (
    average_ranks,
    QueryRanks,
    rank_chunks,
    RankingMetrics,
)
from torchmultimodal_reid.evaluation.roc import RocCollector


def evaluate_ranking(
    query_features: Tensor,
    gallery_features: Tensor,
    query_identities: Labels,
    gallery_identities: Labels,
    query_cameras: Optional[Labels] = None,
    gallery_cameras: Optional[Labels] = None,
    *,
    metric: str = "cosine",
    max_rank: int = 50,
    chunk_size: Optional[int] = None,
    device: Optional[Union[str, torch.device]] = None,
    tpr_at_fpr: Optional[Sequence[float]] = None,
) -> RankingMetrics:
    """Exact CMC, mAP and mINP of a gallery ranked for each query, without its distance matrix and without sorting it.

    For each query the gallery items of the same identity and the same camera are dropped (where cameras are given), and
    junk (identity -1) always. Distractors count as wrong. Items at equal distance rank in the gallery's order, as in a
    stable argsort. A query without a match is skipped and counted: ``num_valid_queries`` is what the means are over.

    Args:
        query_features (Tensor): Shape ``(q, d)``, any floating dtype.
        gallery_features (Tensor): Shape ``(n, d)``, any floating dtype.
        query_identities (Labels): Shape ``(q,)``, integers (Tensor, array or list).
        gallery_identities (Labels): Shape ``(n,)``, integers.
        query_cameras (Optional[Labels]): Shape ``(q,)``, integers. Default: ``None``, no camera filter
        gallery_cameras (Optional[Labels]): Shape ``(n,)``, integers. Default: ``None``, no camera filter
        metric (str): ``"cosine"`` or ``"euclidean"``. Default: ``"cosine"``
        max_rank (int): Length of the CMC curve. Default: 50
        chunk_size (Optional[int]): Queries at a time. Default: ``None``, as many as make 64 MiB of distances
        device (Optional[Union[str, torch.device]]): Where to compute. Default: ``None``, where the gallery is
        tpr_at_fpr (Optional[Sequence[float]]): False positive rates at which the true positive rate over all pairs is
            wanted, such as ``(1e-4, 1e-3, 1e-2)``. Default: ``None``

    Returns:
        RankingMetrics: Shares in 0..1.

    Raises:
        ValueError: If shapes do not fit, a feature is NaN or infinite, or no query has a match.
    """
    matches = Matches(
        query_identities, gallery_identities, query_cameras, gallery_cameras
    )
    _check_rows(matches, len(query_features), len(gallery_features))
    chunks = distance_chunks(
        query_features,
        gallery_features,
        metric=metric,
        chunk_size=chunk_size,
        device=device,
    )
    return _evaluate(chunks, matches, max_rank, tpr_at_fpr)


def evaluate_distances(
    distances: Union[Tensor, QueryDistances],
    query_identities: Labels,
    gallery_identities: Labels,
    query_cameras: Optional[Labels] = None,
    gallery_cameras: Optional[Labels] = None,
    *,
    max_rank: int = 50,
    tpr_at_fpr: Optional[Sequence[float]] = None,
) -> RankingMetrics:
    """:func:`evaluate_ranking` for given distances, smaller is nearer.

    Args:
        distances (Union[Tensor, QueryDistances]): Shape ``(q, n)``, not changed; or what makes them some queries at a
            time, such as :func:`~torchmultimodal_reid.evaluation.re_ranking.re_rank`: then the matrix is never made.
        others: As for :func:`evaluate_ranking`.

    Raises:
        ValueError: If shapes do not fit, a distance is NaN, or no query has a match.
    """
    matches = Matches(
        query_identities, gallery_identities, query_cameras, gallery_cameras
    )
    chunks = _given_chunks(distances, matches)
    return _evaluate(chunks, matches, max_rank, tpr_at_fpr)


def rank_queries(
    query_features: Tensor,
    gallery_features: Tensor,
    query_identities: Labels,
    gallery_identities: Labels,
    query_cameras: Optional[Labels] = None,
    gallery_cameras: Optional[Labels] = None,
    *,
    metric: str = "cosine",
    chunk_size: Optional[int] = None,
    device: Optional[Union[str, torch.device]] = None,
) -> QueryRanks:
    """What :func:`evaluate_ranking` averages, for each query: for pictures, breakdowns and confidence intervals."""
    matches = Matches(
        query_identities, gallery_identities, query_cameras, gallery_cameras
    )
    _check_rows(matches, len(query_features), len(gallery_features))
    chunks = distance_chunks(
        query_features,
        gallery_features,
        metric=metric,
        chunk_size=chunk_size,
        device=device,
    )
    return rank_chunks(chunks, matches)


def rank_distances(
    distances: Union[Tensor, QueryDistances],
    query_identities: Labels,
    gallery_identities: Labels,
    query_cameras: Optional[Labels] = None,
    gallery_cameras: Optional[Labels] = None,
) -> QueryRanks:
    """:func:`rank_queries` for distances of shape ``(q, n)``, given as for :func:`evaluate_distances`."""
    matches = Matches(
        query_identities, gallery_identities, query_cameras, gallery_cameras
    )
    return rank_chunks(_given_chunks(distances, matches), matches)


def _evaluate(
    chunks: Iterable[DistanceChunk],
    matches: Matches,
    max_rank: int,
    tpr_at_fpr: Optional[Sequence[float]],
) -> RankingMetrics:
    if tpr_at_fpr is None:
        return average_ranks(rank_chunks(chunks, matches), max_rank)
    roc = RocCollector(matches, tpr_at_fpr)
    ranks = rank_chunks(chunks, matches, roc)
    metrics = average_ranks(ranks, max_rank)
    return metrics._replace(tpr_at_fpr=roc.result())


def _given_chunks(
    distances: Union[Tensor, QueryDistances], matches: Matches
) -> Iterable[DistanceChunk]:
    if len(distances.shape) != 2:
        raise ValueError(
            f"distances must have shape (queries, gallery), got {tuple(distances.shape)}"
        )
    _check_rows(matches, *distances.shape)
    if isinstance(distances, Tensor):
        return _matrix_chunks(distances)
    return distances.chunks()


def _matrix_chunks(distances: Tensor) -> Iterator[DistanceChunk]:
    rows = default_chunk_size(distances.shape[1])
    for start in range(0, len(distances), rows):
        part = distances[start : start + rows].detach()
        # NumPy knows no bfloat16; any other dtype compares as it is
        part = part.float() if part.dtype == torch.bfloat16 else part
        if part.is_floating_point() and part.sum().isnan() and part.isnan().any():
            row, column = (int(i) for i in part.isnan().nonzero()[0])
            raise ValueError(
                f"distances must not hold NaN, but row {row + start}, column {column} does"
            )
        yield DistanceChunk(start, part)


def _check_rows(matches: Matches, num_queries: int, num_gallery: int) -> None:
    expected: Tuple[Tuple[str, int, int], ...] = (
        ("query", matches.num_queries, num_queries),
        ("gallery", matches.num_gallery, num_gallery),
    )
    for name, labels, rows in expected:
        if labels != rows:
            raise ValueError(
                f"{name}_identities must have one entry for each of the {rows} {name} rows, got {labels}"
            )
