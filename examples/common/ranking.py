# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What each query found: from features as they are, after query expansion, after re-ranking."""

from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from examples.common.checks import check_range
from examples.common.retrieval_features import RetrievalFeatures
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.protocols import (
    EvaluationProtocol,
    filter_labels,
    rank_protocol,
)
from torchmultimodal_reid.evaluation.query_expansion import (
    augment_gallery,
    expand_queries,
)
from torchmultimodal_reid.evaluation.query_ranks import average_ranks, QueryRanks
from torchmultimodal_reid.evaluation.ranking import rank_distances
from torchmultimodal_reid.evaluation.re_ranking import re_rank
from torchmultimodal_reid.evaluation.report import ResultRow


@dataclass
class RankingConfig:
    """What may be done before queries are ranked; results without it stand beside those with it."""

    re_rank: bool = False  # by k-reciprocal neighbours
    k1: int = 20  # of re_rank: neighbours that count as such
    k2: int = 6  # of re_rank: nearest images over which weights are averaged
    lambda_value: float = 0.3  # of re_rank: share of the original distance
    expand_queries: int = 0  # gallery items that each query becomes the mean with
    augment_gallery: int = 0  # others that each gallery item becomes the mean with
    alpha: float = (
        0.0  # of these two: power of the cosine that an item counts by; 0: all alike
    )

    def __post_init__(self) -> None:
        for name in ("k1", "k2"):
            check_range(f"ranking.{name}", getattr(self, name), 1)
        for name in ("expand_queries", "augment_gallery"):
            check_range(f"ranking.{name}", getattr(self, name), 0)
        check_range("ranking.lambda_value", self.lambda_value, 0, 1)
        if not 0 <= self.alpha < float("inf"):
            raise ValueError(
                f"ranking.alpha must be finite and at least 0, got {self.alpha}"
            )

    @property
    def expands(self) -> bool:
        """Whether features are averaged with their nearest."""
        return self.expand_queries > 0 or self.augment_gallery > 0


class RankedRow(NamedTuple):
    """A line of the table and what it is the mean of."""

    row: ResultRow
    kind: str  # of the queries
    ranks: QueryRanks


def ranked_rows(features: RetrievalFeatures, config: RankingConfig) -> List[RankedRow]:
    """Lines of the table for each kind of query, the plain one first, the stamp of what was done on the others."""
    rows = []
    for kind, query in features.query.items():
        protocol = features.protocols[kind]
        for name, stamp, ranks in _variants(protocol, query, features.gallery, config):
            row = ResultRow(
                f"{kind} query{name}", protocol, average_ranks(ranks), stamp or None
            )
            rows.append(RankedRow(row, kind, ranks))
    return rows


def _variants(
    protocol: EvaluationProtocol,
    query: Features,
    gallery: Features,
    config: RankingConfig,
) -> Iterator[Tuple[str, Dict[str, Any], QueryRanks]]:
    yield "", {}, rank_protocol(protocol, query, gallery)
    name, stamp = "", {}
    if config.expands:
        query, gallery = expanded(query, gallery, config)
        name = ", expanded"
        stamp = {
            key: getattr(config, key)
            for key in ("expand_queries", "augment_gallery", "alpha")
        }
        yield name, stamp, rank_protocol(protocol, query, gallery)
    if config.re_rank:
        distances = re_rank(
            query.embedding,
            gallery.embedding,
            config.k1,
            config.k2,
            config.lambda_value,
            metric=protocol.metric,
        )
        labels = filter_labels(protocol, query, gallery)
        ranks = rank_distances(distances, query.identity, gallery.identity, *labels)
        values = {key: getattr(config, key) for key in ("k1", "k2", "lambda_value")}
        yield f"{name}, re-ranked", {**stamp, "re_rank": values}, ranks


def expanded(
    query: Features, gallery: Features, config: RankingConfig
) -> Tuple[Features, Features]:
    """Features averaged with their nearest: the gallery's first, then the queries' with that gallery."""
    embedding = gallery.embedding
    if config.augment_gallery:
        embedding = augment_gallery(embedding, config.augment_gallery, config.alpha)
    asked = query.embedding
    if config.expand_queries:
        asked = expand_queries(asked, embedding, config.expand_queries, config.alpha)
    return query._replace(embedding=asked), gallery._replace(embedding=embedding)
