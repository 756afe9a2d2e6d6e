# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.evaluation.averages import (
    average_runs,
    average_splits,
    average_targets,
    mean_metrics,
)
from torchmultimodal_reid.evaluation.protocols import get_protocol
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics
from torchmultimodal_reid.evaluation.report import build_report, format_table, ResultRow

RULES = get_protocol("image-to-image-single-shot")


def metrics(value, queries=4):
    cmc = torch.tensor([value, 1.0])
    return RankingMetrics(value, value / 2, value / 4, cmc, None, queries, queries)


def test_average_over_splits():
    mean, deviation = average_splits([metrics(0.25), metrics(0.75)])
    assert (mean.mAP, mean.mAP_trapezoid, mean.mINP) == (0.5, 0.25, 0.125)
    assert mean.cmc.tolist() == [0.5, 1.0]
    assert (mean.num_queries, mean.num_valid_queries) == (4, 4)
    assert deviation["mAP"] == pytest.approx(0.125**0.5)
    assert average_splits([metrics(0.25)]).deviation == {}


def test_queries_of_splits_of_other_sizes_are_a_mean_too():
    sizes = [metrics(0.25, 2), metrics(0.75)._replace(num_valid_queries=3)]
    mean = average_splits(sizes, equal_sizes=False).mean
    assert (mean.num_queries, mean.num_valid_queries) == (3, 2)  # 2.5 becomes 2


def test_splits_of_unequal_size_are_not_averaged():
    with pytest.raises(ValueError, match=r"equally many queries, got \[\(3, 3\), \(4"):
        average_splits([metrics(0.25), metrics(0.75, 3)])


def test_weighted_mean():
    mean = mean_metrics([metrics(0.25, 3), metrics(0.75, 1)], [3, 1])
    assert mean.mAP == 0.375 and mean.cmc.tolist() == [0.375, 1.0]
    assert (mean.num_queries, mean.num_valid_queries) == (4, 4)
    short = metrics(0.5)._replace(cmc=torch.tensor([1.0]))
    assert mean_metrics([metrics(0.0), short]).cmc.tolist() == [0.5]


def row(value, name="image query", protocol=RULES, **more):
    return ResultRow(name, protocol, metrics(value), **more)


def test_mean_over_targets_counts_each_alike_and_spreads_from_split_to_split():
    by_split = {
        "viper": {"image query": [metrics(0.2), metrics(0.4)]},
        "grid": {"image query": [metrics(0.6), metrics(1.0)]},
    }
    results = {"viper": [row(0.3), row(0.1, "only here")], "grid": [row(0.8)]}
    (mean,) = average_targets(results, by_split)
    assert mean.name == "mean of 2 targets: image query"
    assert mean.metrics.mAP == pytest.approx(0.55) and mean.metrics.num_queries == 8
    # 0.4 on the first splits, 0.7 on the second
    assert mean.deviation["mAP"] == pytest.approx(0.3 / 2**0.5)
    assert average_targets(results, {})[0].deviation is None


def test_mean_over_runs():
    runs = {"a": [row(0.25), row(0.5, "only here")], "b": [row(0.75)]}
    (mean,) = average_runs(runs)
    assert mean.name == "mean of 2 runs: image query"
    assert mean.metrics.mAP == 0.5 and mean.metrics.num_queries == 4
    assert mean.deviation["mAP"] == pytest.approx(0.5 / 2**0.5)


def test_targets_under_different_rules_have_no_mean():
    other = row(0.5, protocol=get_protocol("image-to-image"))
    with pytest.raises(ValueError, match=r"grid was ranked under image-to-image \(ver"):
        average_targets({"viper": [row(0.5)], "grid": [other]}, {})
    other = row(0.5, ranking={"re_rank": {"k1": 20}})
    with pytest.raises(ValueError, match="{'re_rank': {'k1': 20}}"):
        average_targets({"viper": [row(0.5)], "grid": [other]}, {})


def test_deviation_stands_in_the_table_and_in_the_report():
    deviation = {"mAP": 0.0123, "rank1": 0.02, "mINP": 0.5}
    rows = [row(0.25, deviation=deviation), row(0.5, "other")]
    lines = format_table(rows).splitlines()
    assert "25.0 ± 1.2" in lines[2] and "25.0 ± 2.0" in lines[2]
    assert "6.2 ± 50.0" in lines[2] and "±" not in lines[3]
    report = build_report(rows, dataset="d", counts={})
    assert report["results"][0]["deviation"] == deviation
    assert "deviation" not in report["results"][1]
