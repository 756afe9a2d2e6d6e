# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The lines of the table for what is tested on: a data set's test part, or the means over its splits."""

from collections import defaultdict
from typing import Any, DefaultDict, Dict, List, Mapping, NamedTuple, Optional, Sequence

import torch
from examples.common.breakdown import break_down
from examples.common.protocols import Target
from examples.common.ranking import ranked_rows, RankingConfig
from examples.common.references import reference_rows
from examples.common.retrieval_features import (
    RetrievalFeatures,
    under_protocol,
    within_split,
)
from torchmultimodal_reid.data.sample import ReIDSplit
from torchmultimodal_reid.evaluation.averages import average_splits, mean_metrics
from torchmultimodal_reid.evaluation.gallery_draws import draw_galleries, RULE
from torchmultimodal_reid.evaluation.protocols import get_protocol
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics
from torchmultimodal_reid.evaluation.report import count_rows, ResultRow
from torchmultimodal_reid.evaluation.splits import hash_splits

# rules for splits of small sets, which have one gallery image of each person
SPLIT_PROTOCOL = "image-to-image-single-shot"
# and of those which have more, of which one is drawn
SPLIT_PROTOCOLS = {"cuhk03_classic": "image-to-image-single-gallery"}


class TargetResult(NamedTuple):
    """What was found on a target."""

    rows: List[ResultRow]
    counts: Dict[str, int]
    splits: Optional[Dict[str, Any]]  # stamp, deviations and the numbers of each split
    breakdown: Optional[Dict[str, Any]]
    by_split: Mapping[str, Sequence[RankingMetrics]] = {}  # by name of the row


def evaluate_target(
    target: Target,
    features: RetrievalFeatures,
    protocol: Optional[str],
    ranking: RankingConfig,
    breakdown: bool,
    seed: int = 0,
) -> TargetResult:
    """The lines of the table for a target: of its test part, or the means over its splits.

    Args:
        target (Target): What is tested on.
        features (RetrievalFeatures): Of all its images; under the rules that they are to be ranked by, if it has no
            splits.
        protocol (Optional[str]): Rules, if not the usual ones.
        ranking (RankingConfig): What is done before queries are ranked.
        breakdown (bool): Whether to break the lines down, which means have not.
        seed (int): Of the galleries, under rules that draw them. Default: 0
    """
    if protocol is None and target.stamp is not None:
        protocol = SPLIT_PROTOCOLS.get(target.name, SPLIT_PROTOCOL)
    count = 0 if protocol is None else get_protocol(protocol).gallery_draws
    if target.stamp is None and not count:
        ranked = ranked_rows(features, ranking)
        broken = break_down(features, ranked) if breakdown else None
        rows = [one.row for one in ranked] + reference_rows(features)
        return TargetResult(rows, _counts(features), None, broken)
    assert protocol is not None
    stamp: Dict[str, Any] = {} if target.stamp is None else {"stamp": target.stamp}
    draws = [
        draw_galleries(split, count, seed) if count else (split,)
        for split in target.splits
    ]
    if count:
        sha256 = hash_splits([draw for same in draws for draw in same])
        stamp["galleries"] = {
            "rule": RULE,
            "seed": seed,
            "count": count,
            "sha256": sha256,
        }
    lines: DefaultDict[str, List[ResultRow]] = defaultdict(list)
    for same in draws:
        for row in _split_rows(features, same, protocol, ranking, max(count, 1)):
            lines[row.name].append(row)
    rows, numbers = [], {}
    by_split = {name: [row.metrics for row in same] for name, same in lines.items()}
    for name, metrics in by_split.items():
        mean, deviation = average_splits(metrics, equal_sizes=not count)
        rows.append(lines[name][0]._replace(metrics=mean, deviation=deviation or None))
        numbers[name] = {
            "deviation": deviation,
            "mAP": [one.mAP for one in metrics],
            "rank1": [float(one.cmc[0]) for one in metrics],
        }
    part = within_split(features, target.splits[-1])
    return TargetResult(
        rows, _counts(part), {**stamp, "results": numbers}, None, by_split
    )


def _split_rows(
    features: RetrievalFeatures,
    draws: Sequence[ReIDSplit],
    protocol: str,
    ranking: RankingConfig,
    repetitions: int,
) -> List[ResultRow]:
    """The lines of a split, or the means over its draws, in which each query counts alike."""
    lines: DefaultDict[str, List[ResultRow]] = defaultdict(list)
    for draw in draws:
        part = under_protocol(within_split(features, draw), protocol)
        ranked = ranked_rows(part, ranking)
        for row in [one.row for one in ranked] + reference_rows(part):
            lines[row.name].append(row)
    if len(draws) == 1:
        return [row for (row,) in lines.values()]
    rows = []
    for same in lines.values():
        metrics = [row.metrics for row in same]
        mean = mean_metrics(metrics, [one.num_valid_queries for one in metrics])
        mean = mean._replace(
            num_queries=mean.num_queries // repetitions,
            num_valid_queries=mean.num_valid_queries // repetitions,
        )
        rows.append(same[0]._replace(metrics=mean))
    return rows


def format_galleries(stamp: Mapping[str, Any]) -> str:
    """The stamp of drawn galleries, for the line above a table."""
    return f"mean of {stamp['count']} galleries, of seed {stamp['seed']}, sha256 {stamp['sha256'][:12]}"


def _counts(features: RetrievalFeatures) -> Dict[str, int]:
    """Counts of gallery and first queries; of cameras, not of what stands in their place under some rules."""
    kind = next(iter(features.query))
    query, gallery = (
        part._replace(camera=torch.tensor([image.camera for image in images]))
        for part, images in (
            (features.query[kind], features.query_images[kind]),
            (features.gallery, features.gallery_images),
        )
    )
    return count_rows(query, gallery)
