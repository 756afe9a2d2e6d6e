# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Means of results: over splits of a data set, over runs, over targets; and how far splits or runs lie apart."""

from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import torch
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics
from torchmultimodal_reid.evaluation.report import ResultRow

SPREAD = ("mAP", "mAP_trapezoid", "rank1", "mINP")


class AveragedMetrics(NamedTuple):
    """Metrics over splits."""

    mean: RankingMetrics  # counts are those of one split
    # sample standard deviation of each of SPREAD over the splits; empty for a single one
    deviation: Dict[str, float]


def average_splits(
    metrics: Sequence[RankingMetrics], *, equal_sizes: bool = True
) -> AveragedMetrics:
    """The mean over splits or runs, which counts each alike, and how far they lie apart.

    Args:
        metrics (Sequence[RankingMetrics]): Of each.
        equal_sizes (bool): Whether all must have equally many queries. If not, the mean has their mean number, rounded.
            Default: ``True``

    Raises:
        ValueError: If there is none, or the splits do not have equally many queries but must.
    """
    counts = {(one.num_queries, one.num_valid_queries) for one in metrics}
    if not counts or (equal_sizes and len(counts) != 1):
        raise ValueError(
            f"splits to average must have equally many queries, got {sorted(counts)}"
        )
    mean = mean_metrics(metrics)
    mean = mean._replace(
        num_queries=round(mean.num_queries / len(metrics)),
        num_valid_queries=round(mean.num_valid_queries / len(metrics)),
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

    def mean(name: str) -> float:
        values = torch.tensor([getattr(one, name) for one in metrics]).double()
        return float((values * weight).sum() / weight.sum())

    length = min(len(one.cmc) for one in metrics)
    cmc = torch.stack([one.cmc[:length].double() for one in metrics])
    return RankingMetrics(
        mean("mAP"),
        mean("mAP_trapezoid"),
        mean("mINP"),
        (cmc * weight[:, None]).sum(0) / weight.sum(),
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
    means = []
    for name, rows in _shared_rows(results):
        parts = [splits.get(target, {}).get(name, ()) for target in results]
        deviation = {}
        if len({len(part) for part in parts}) == 1:
            deviation = deviation_of([mean_metrics(same) for same in zip(*parts)])
        mean = mean_metrics([row.metrics for row in rows])
        means.append(_mean_row("targets", name, rows, mean, deviation))
    return means


def average_runs(
    results: Mapping[str, Sequence[ResultRow]], *, equal_sizes: bool = True
) -> List[ResultRow]:
    """A line for the mean over runs of each line that all of them have, and how far the runs lie apart.

    Args:
        results (Mapping[str, Sequence[ResultRow]]): Lines of each run.
        equal_sizes (bool): Whether all must have equally many queries. Default: ``True``

    Raises:
        ValueError: If a line was made under other rules in one run than in another, or with other numbers of queries.
    """
    means = []
    for name, rows in _shared_rows(results):
        mean, deviation = average_splits(
            [row.metrics for row in rows], equal_sizes=equal_sizes
        )
        means.append(_mean_row("runs", name, rows, mean, deviation))
    return means


def _mean_row(
    over: str,
    name: str,
    rows: Sequence[ResultRow],
    mean: RankingMetrics,
    deviation: Dict[str, float],
) -> ResultRow:
    return rows[0]._replace(
        name=f"mean of {len(rows)} {over}: {name}",
        metrics=mean,
        deviation=deviation or None,
    )


def _shared_rows(
    results: Mapping[str, Sequence[ResultRow]],
) -> Iterator[Tuple[str, List[ResultRow]]]:
    """Lines by name that all results have, which must have been made under the same rules."""
    by_name = [{row.name: row for row in rows} for rows in results.values()]
    for name in by_name[0]:
        if not all(name in lines for lines in by_name):
            continue
        rows = [lines[name] for lines in by_name]
        for label, row in zip(results, rows):
            if _rules(row) != _rules(rows[0]):
                raise ValueError(
                    f"{name!r} of {label} was ranked under {_told(row)}, that of {next(iter(results))} under "
                    f"{_told(rows[0])}; results under different rules have no mean"
                )
        yield name, rows


def _told(row: ResultRow) -> str:
    rules = row.protocol
    prepared = f", {dict(row.ranking)}" if row.ranking else ""
    return f"{rules.name} (version {rules.version}, AP {rules.average_precision!r}{prepared})"


def _rules(row: ResultRow) -> Tuple[object, object]:
    return row.protocol, row.ranking
