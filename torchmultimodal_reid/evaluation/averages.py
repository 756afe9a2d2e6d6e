# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Means of results: over splits of a data set, over runs, over targets; and how far splits or runs lie apart."""

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import torch
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics
from torchmultimodal_reid.evaluation.report import ResultRow

SPREAD = ("mAP", "mAP_trapezoid", "rank1", "mINP")


class AveragedMetrics(NamedTuple):
    """Metrics over splits."""

    mean: RankingMetrics  # counts are those of one split
    # sample standard deviation of each of SPREAD over the splits; empty for a single one
    deviation: Dict[str, float]


def average_splits(metrics: Sequence[RankingMetrics]) -> AveragedMetrics:
    """The mean over splits or runs, which counts each alike, and how far they lie apart.

    Raises:
        ValueError: If there is none, or the splits do not have equally many queries.
    """
    counts = {(one.num_queries, one.num_valid_queries) for one in metrics}
    if len(counts) != 1:
        raise ValueError(
            f"splits to average must have equally many queries, got {sorted(counts)}"
        )
    first = metrics[0]
    mean = mean_metrics(metrics)._replace(
        num_queries=first.num_queries, num_valid_queries=first.num_valid_queries
    )
    return AveragedMetrics(mean, deviation_of(metrics))


def mean_metrics(
    metrics: Sequence[RankingMetrics], weights: Optional[Sequence[float]] = None
) -> RankingMetrics:
    """The mean of results; queries are counted together, and curves are cut to the shortest.

    Args:
        metrics (Sequence[RankingMetrics]): At least one.
        weights (Optional[Sequence[float]]): How much each counts. Default: ``None``, all alike
    """
    weight = torch.tensor(weights or [1.0] * len(metrics)).double()
    weight = weight / weight.sum()

    def mean(name: str) -> float:
        values = torch.tensor([getattr(one, name) for one in metrics]).double()
        return float((values * weight).sum())

    length = min(len(one.cmc) for one in metrics)
    cmc = torch.stack([one.cmc[:length].double() for one in metrics])
    return RankingMetrics(
        mean("mAP"),
        mean("mAP_trapezoid"),
        mean("mINP"),
        (cmc * weight[:, None]).sum(0),
        None,
        sum(one.num_queries for one in metrics),
        sum(one.num_valid_queries for one in metrics),
    )


def deviation_of(metrics: Sequence[RankingMetrics]) -> Dict[str, float]:
    """The sample standard deviation of each number of ``SPREAD``; none for one result: 0 would say that it is known."""
    if len(metrics) < 2:
        return {}
    spread = {name: [] for name in SPREAD}  # type: Dict[str, List[float]]
    for one in metrics:
        for name in SPREAD:
            value = one.cmc[0] if name == "rank1" else getattr(one, name)
            spread[name].append(float(value))
    return {name: float(torch.tensor(v).double().std()) for name, v in spread.items()}


def average_targets(
    results: Mapping[str, Sequence[ResultRow]],
    splits: Mapping[str, Mapping[str, Sequence[RankingMetrics]]],
) -> List[ResultRow]:
    """A line for the mean over targets of each line that all of them have. Each target counts alike.

    Args:
        results (Mapping[str, Sequence[ResultRow]]): Lines of each target.
        splits (Mapping[str, Mapping[str, Sequence[RankingMetrics]]]): By target and name of the line, the results on
            each split. Where all targets have equally many, the deviation is that of the mean over the targets from
            split to split.

    Raises:
        ValueError: If a line was made under other rules on one target than on another.
    """
    by_name = [{row.name: row for row in rows} for rows in results.values()]
    means = []
    for name in by_name[0]:
        if not all(name in lines for lines in by_name):
            continue
        rows = [lines[name] for lines in by_name]
        for target, row in zip(results, rows):
            if _rules(row) != _rules(rows[0]):
                raise ValueError(
                    f"{name!r} of {target} was ranked under {row.protocol.name}, that of {next(iter(results))} under "
                    f"{rows[0].protocol.name}, or otherwise prepared; results under different rules have no mean"
                )
        parts = [splits.get(target, {}).get(name, ()) for target in results]
        deviation = {}
        if len({len(part) for part in parts}) == 1:
            deviation = deviation_of([mean_metrics(same) for same in zip(*parts)])
        mean = mean_metrics([row.metrics for row in rows])
        means.append(
            rows[0]._replace(
                name=f"mean of {len(rows)} targets: {name}",
                metrics=mean,
                deviation=deviation or None,
            )
        )
    return means


def _rules(row: ResultRow) -> Tuple[object, object]:
    return row.protocol, row.ranking
