# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Dict, Iterable, List, NamedTuple, Optional

import numpy as np
import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.distance import DistanceChunk
from torchmultimodal_reid.evaluation.hit_ranks import HitRanks, rank_hits
from torchmultimodal_reid.evaluation.matches import Matches
from torchmultimodal_reid.evaluation.roc import RocCollector


class QueryRanks(NamedTuple):
    """What each query found. Queries without a match have NaN and rank 0.

    All of shape ``(q,)``; shares in float64, in 0..1; ranks and counts in int64, ranks from 1.
    """

    average_precision: Tensor  # mean of the precision at each hit
    average_precision_trapezoid: Tensor  # area under the precision-recall curve, as Market-1501's Matlab code has it
    inverse_negative_penalty: Tensor  # number of hits / rank of the hardest hit
    first_rank: Tensor
    hardest_rank: Tensor
    num_hits: Tensor  # 0 where a query has no match

    @property
    def is_valid(self) -> Tensor:
        """True where a query has a match. Shape ``(q,)``, bool."""
        return self.num_hits > 0


class RankingMetrics(NamedTuple):
    """Shares in 0..1 (not percent), averaged over the queries that have a match."""

    mAP: float  # noqa: N815
    mAP_trapezoid: float  # noqa: N815
    mINP: float  # noqa: N815
    cmc: Tensor  # shape: (max_rank,), float64; cmc[k - 1]: share of queries whose first hit is within rank k
    tpr_at_fpr: Optional[Dict[float, float]]
    num_queries: int
    num_valid_queries: int


def rank_chunks(
    chunks: Iterable[DistanceChunk],
    matches: Matches,
    roc: Optional[RocCollector] = None,
) -> QueryRanks:
    """What each query found, from distances that come some queries at a time, all of the queries in order."""
    rows: List[np.ndarray] = []
    parts: List[HitRanks] = []
    for start, distances in chunks:
        if matches.has_junk:
            kept = torch.from_numpy(matches.kept_columns).to(distances.device)
            distances = distances.index_select(1, kept)
        pairs = matches.pairs(start, start + len(distances))
        hits = rank_hits(distances, pairs)
        if roc is not None:
            roc.update(distances, pairs, hits)
        parts.append(hits)
        rows.append(hits.row + start)
    if not parts:
        return _query_ranks(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), 0)
    return _query_ranks(
        np.concatenate(rows),
        np.concatenate([part.ordinal for part in parts]),
        np.concatenate([part.rank for part in parts]),
        matches.num_queries,
    )


def average_ranks(
    ranks: QueryRanks,
    max_rank: int = 50,
    tpr_at_fpr: Optional[Dict[float, float]] = None,
) -> RankingMetrics:
    """Means over the queries that have a match.

    Args:
        ranks (QueryRanks): What each query found.
        max_rank (int): Length of the CMC curve. Default: 50
        tpr_at_fpr (Optional[Dict[float, float]]): Passed on. Default: ``None``

    Raises:
        ValueError: If no query has a match.
    """
    if max_rank < 1:
        raise ValueError(f"max_rank must be at least 1, got {max_rank}")
    valid = ranks.is_valid
    num_valid = int(valid.sum())
    if num_valid == 0:
        raise ValueError(
            f"none of the {len(valid)} queries has a match in the gallery. With a camera filter, a match must be of "
            "the same identity under another camera: check that identities are shared and cameras differ, or leave the "
            "cameras out to switch the filter off"
        )
    first = ranks.first_rank[valid]
    found = torch.bincount(first[first <= max_rank] - 1, minlength=max_rank)
    return RankingMetrics(
        mAP=float(ranks.average_precision[valid].mean()),
        mAP_trapezoid=float(ranks.average_precision_trapezoid[valid].mean()),
        mINP=float(ranks.inverse_negative_penalty[valid].mean()),
        cmc=found.cumsum(0).double() / num_valid,
        tpr_at_fpr=tpr_at_fpr,
        num_queries=len(valid),
        num_valid_queries=num_valid,
    )


def _query_ranks(
    row: np.ndarray, ordinal: np.ndarray, rank: np.ndarray, num_queries: int
) -> QueryRanks:
    num_hits = np.bincount(row, minlength=num_queries)
    divisor = np.where(num_hits > 0, num_hits, np.nan)

    def mean(precision: np.ndarray) -> Tensor:
        total = np.bincount(row, weights=precision, minlength=num_queries)
        return torch.from_numpy(total / divisor)

    precision = ordinal / rank
    # one place before the hit; before the first place of all the precision is 1 by definition
    previous = np.where(rank > 1, (ordinal - 1) / np.maximum(rank - 1, 1), 1.0)
    first, hardest = np.zeros((2, num_queries), dtype=np.int64)
    first[row[ordinal == 1]] = rank[ordinal == 1]
    is_last = ordinal == num_hits[row]
    hardest[row[is_last]] = rank[is_last]
    penalty = np.where(num_hits > 0, num_hits / np.maximum(hardest, 1), np.nan)
    return QueryRanks(
        average_precision=mean(precision),
        average_precision_trapezoid=mean((precision + previous) / 2),
        inverse_negative_penalty=torch.from_numpy(penalty),
        first_rank=torch.from_numpy(first),
        hardest_rank=torch.from_numpy(hardest),
        num_hits=torch.from_numpy(num_hits.astype(np.int64)),
    )
