# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from torchmultimodal_reid.evaluation.distance import default_chunk_size, DistanceChunk
from torchmultimodal_reid.evaluation.matches import Labels, Matches
from torchmultimodal_reid.evaluation.query_ranks import (
    average_ranks,
    rank_chunks,
    RankingMetrics,
)
from torchmultimodal_reid.utils.seeding import generator_for

NOT_TOLD, NOT_KNOWN = -1, -2


def chance(
    query_identities: Labels,
    gallery_identities: Labels,
    query_cameras: Optional[Labels] = None,
    gallery_cameras: Optional[Labels] = None,
    *,
    max_rank: int = 50,
) -> RankingMetrics:
    """What a ranking at random would be given in the mean, in closed form.

    Args: as for :func:`~torchmultimodal_reid.evaluation.ranking.evaluate_ranking`, without features.

    Returns:
        RankingMetrics: Expected values.

    Raises:
        ValueError: If labels do not fit or no query has a match.
    """
    matches = Matches(
        query_identities, gallery_identities, query_cameras, gallery_cameras
    )
    pairs = matches.pairs(0, matches.num_queries)
    num_hits = np.bincount(
        pairs.row, weights=pairs.is_hit, minlength=matches.num_queries
    ).astype(np.int64)
    dropped = matches.num_same_identity - num_hits
    num_kept = len(matches.kept_columns) - dropped
    is_valid = num_hits > 0
    cases, weight = np.unique(
        np.stack([num_hits[is_valid], num_kept[is_valid]], 1),
        axis=0,
        return_counts=True,
    )
    if not len(cases):
        raise ValueError(
            f"none of the {matches.num_queries} queries has a match in the gallery"
        )
    expected = np.stack([_expected(int(r), int(n), max_rank) for r, n in cases])
    mean = (expected * weight[:, None]).sum(0) / weight.sum()
    return RankingMetrics(
        mAP=float(mean[0]),
        mAP_trapezoid=float(mean[1]),
        mINP=float(mean[2]),
        cmc=torch.from_numpy(mean[3:]),
        tpr_at_fpr=None,
        num_queries=matches.num_queries,
        num_valid_queries=int(weight.sum()),
    )


def _expected(hits: int, kept: int, max_rank: int) -> np.ndarray:
    """Expected AP, trapezoid AP, inverse negative penalty and CMC of ``hits`` of ``kept`` items in random order."""
    rank = np.arange(1, kept + 1, dtype=np.float64)
    # given a hit at a rank, any other place holds one with this probability
    other = (hits - 1) / (kept - 1) if kept > 1 else 0.0
    precision = (1 + (rank - 1) * other) / rank
    previous = np.full(kept, other)
    previous[0] = 1.0
    # the hardest hit stands at rank r with probability C(r - 1, hits - 1) / C(kept, hits): a product from the last down
    ratio = np.clip(rank[1:] - hits, 0, None) / np.maximum(rank[1:] - 1, 1)
    hardest = np.cumprod(np.concatenate(([hits / kept], ratio[::-1])))[::-1]
    missed = np.cumprod(
        np.clip(kept - hits - np.arange(max_rank), 0, None)
        / np.maximum(kept - np.arange(max_rank), 1)
    )
    scalars = [
        precision.mean(),
        (precision + previous).mean() / 2,
        (hardest * hits / rank).sum(),
    ]
    return np.concatenate((scalars, 1 - missed))


def attribute_oracle(
    told: Sequence[Mapping[str, Any]],
    gallery_attributes: Sequence[Mapping[str, Any]],
    query_identities: Labels,
    gallery_identities: Labels,
    query_cameras: Optional[Labels] = None,
    gallery_cameras: Optional[Labels] = None,
    *,
    draws: int = 10,
    seed: int = 0,
    max_rank: int = 50,
) -> RankingMetrics:
    """The best that a reader of captions without error could do.

    It ranks the gallery by how many of the attributes that a caption tells differ, ties in random order, and averages
    over seeded draws. Captions leave attributes out and people share them, so this is below 1. An attribute that a
    gallery image does not have counts as different.

    Args:
        told (Sequence[Mapping[str, Any]]): For each query what its caption tells.
        gallery_attributes (Sequence[Mapping[str, Any]]): For each gallery image the attributes of its person.
        query_identities (Labels): Shape ``(q,)``, integers.
        gallery_identities (Labels): Shape ``(n,)``, integers.
        query_cameras (Optional[Labels]): Shape ``(q,)``, integers. Default: ``None``, no camera filter
        gallery_cameras (Optional[Labels]): Shape ``(n,)``, integers. Default: ``None``, no camera filter
        draws (int): Random orders of ties to average over. Default: 10
        seed (int): Seed of these orders. Default: 0
        max_rank (int): Length of the CMC curve. Default: 50

    Returns:
        RankingMetrics: Means over the draws.

    Raises:
        ValueError: If lengths do not fit or no query has a match.
    """
    matches = Matches(
        query_identities, gallery_identities, query_cameras, gallery_cameras
    )
    for name, given, expected in (
        ("told", len(told), matches.num_queries),
        ("gallery_attributes", len(gallery_attributes), matches.num_gallery),
    ):
        if given != expected:
            raise ValueError(
                f"{name} must have one entry for each of {expected} rows, got {given}"
            )
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    asked, known = _codes(told, gallery_attributes)
    results: List[RankingMetrics] = []
    for draw in range(draws):
        chunks = _difference_chunks(asked, known, seed, draw)
        results.append(average_ranks(rank_chunks(chunks, matches), max_rank))
    return results[0]._replace(
        mAP=float(np.mean([result.mAP for result in results])),
        mAP_trapezoid=float(np.mean([result.mAP_trapezoid for result in results])),
        mINP=float(np.mean([result.mINP for result in results])),
        cmc=torch.stack([result.cmc for result in results]).mean(0),
    )


def _codes(
    told: Sequence[Mapping[str, Any]], attributes: Sequence[Mapping[str, Any]]
) -> Tuple[np.ndarray, np.ndarray]:
    """Attribute values as numbers, one column an attribute: what is asked for, and what is known."""
    names = sorted({name for entry in told for name in entry})
    values: Dict[Tuple[str, str], int] = {}

    def encode(entries: Sequence[Mapping[str, Any]], absent: int) -> np.ndarray:
        table = np.full((len(entries), len(names)), absent, dtype=np.int32)
        for row, entry in enumerate(entries):
            for column, name in enumerate(names):
                if name in entry:
                    key = (name, repr(entry[name]))
                    table[row, column] = values.setdefault(key, len(values))
        return table

    return encode(told, NOT_TOLD), encode(attributes, NOT_KNOWN)


def _difference_chunks(
    asked: np.ndarray, known: np.ndarray, seed: int, draw: int
) -> Iterator[DistanceChunk]:
    generator = generator_for(seed, "attribute oracle", draw)
    # images of one person share their attributes: compare each set of them once
    people, person = np.unique(known, axis=0, return_inverse=True)
    columns = torch.from_numpy(person.reshape(-1))
    rows = default_chunk_size(len(known))
    for start in range(0, len(asked), rows):
        part = asked[start : start + rows]
        differing = np.zeros((len(part), len(people)))
        for column in range(asked.shape[1]):
            wanted = part[:, column, None]
            differing += (wanted != NOT_TOLD) & (wanted != people[:, column])
        distances = torch.from_numpy(differing)[:, columns]
        ties = torch.rand(distances.shape, generator=generator, dtype=torch.float64)
        yield DistanceChunk(start, distances + ties)
