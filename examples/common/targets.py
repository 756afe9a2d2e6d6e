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
from torchmultimodal_reid.evaluation.averages import average_splits
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics
from torchmultimodal_reid.evaluation.report import count_rows, ResultRow

# rules for small sets, whose splits have one gallery image of each person
SPLIT_PROTOCOL = "image-to-image-single-shot"


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
) -> TargetResult:
    """The lines of the table for a target: of its test part, or the means over its splits.

    Args:
        target (Target): What is tested on.
        features (RetrievalFeatures): Of all its images; under the rules that they are to be ranked by, if it has no
            splits.
        protocol (Optional[str]): Rules for splits, if not the usual ones.
        ranking (RankingConfig): What is done before queries are ranked.
        breakdown (bool): Whether to break the lines down, which means have not.
    """
    if target.stamp is None:
        ranked = ranked_rows(features, ranking)
        broken = break_down(features, ranked) if breakdown else None
        rows = [one.row for one in ranked] + reference_rows(features)
        return TargetResult(rows, _counts(features), None, broken)
    lines: DefaultDict[str, List[ResultRow]] = defaultdict(list)
    for split in target.splits:
        part = under_protocol(within_split(features, split), protocol or SPLIT_PROTOCOL)
        ranked = ranked_rows(part, ranking)
        for row in [one.row for one in ranked] + reference_rows(part):
            lines[row.name].append(row)
    rows, numbers = [], {}
    by_split = {name: [row.metrics for row in same] for name, same in lines.items()}
    for name, same in by_split.items():
        mean, deviation = average_splits(same)
        rows.append(lines[name][0]._replace(metrics=mean, deviation=deviation or None))
        numbers[name] = {
            "deviation": deviation,
            "mAP": [metrics.mAP for metrics in same],
            "rank1": [float(metrics.cmc[0]) for metrics in same],
        }
    stamp = {"stamp": target.stamp, "results": numbers}
    return TargetResult(rows, _counts(part), stamp, None, by_split)


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
