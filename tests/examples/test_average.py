# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The mean of results that several evaluations wrote."""

import json

import pytest
import torch
from examples.common.average import main
from torchmultimodal_reid.evaluation.protocols import get_protocol
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics
from torchmultimodal_reid.evaluation.report import build_report, ResultRow, write_report

KIND = {"builder": "b", "arguments": {"dim": 8, "vocab_size": 7}, "num_identities": 4}


@pytest.fixture
def save(tmp_path):
    """Writes results.json as an evaluation does, and returns its path."""

    def write(folder, value, dataset="viper", rules="image-to-image", **more):
        count = more.pop("count", 4)
        cmc = torch.tensor([value, 1.0])
        metrics = RankingMetrics(value, value / 2, value, cmc, None, count, count)
        extra = {
            "model": {"fingerprint": "f", "description": KIND},
            "options": {},
            "root": dataset,
            "selection": {"watched": None},
            "training_protocol": None,
            "splits": {},
            **more,
        }
        rows = [ResultRow("image query", get_protocol(rules), metrics)]
        report = build_report(rows, dataset=dataset, counts={}, extra=extra)
        return str(write_report(tmp_path / folder / "results.json", report))

    return write


def model(fingerprint, **changes):
    return {"fingerprint": fingerprint, "description": {**KIND, **changes}}


@pytest.fixture
def average(tmp_path, capsys):
    def run(over, *paths):
        main(["--over", over, "--output", str(tmp_path / "mean"), *paths])
        report = json.loads((tmp_path / "mean" / "results.json").read_text())
        return capsys.readouterr().out, report

    return run


def test_over_targets(save, average):
    files = save("a", 0.25), save("b", 0.75, "grid", count=8)
    out, report = average("targets", *files)
    *each, mean = report["results"]
    assert [row["name"] for row in each] == ["viper: image query", "grid: image query"]
    assert mean["name"] == "mean of 2 targets: image query"
    assert mean["metrics"]["mAP"] == 0.5 and mean["metrics"]["num_queries"] == 12
    assert mean["protocol"]["name"] == "image-to-image" and "deviation" not in mean
    assert [one["file"] for one in report["extra"]["averaged"]] == list(files)
    assert report["extra"]["averaged"][1]["model"]["fingerprint"] == "f"
    assert out.startswith("viper, grid: mean over 2 targets\n")


def test_over_seeds_and_over_splits(save, average):
    seeds = [save(name, v, model=model(name)) for name, v in (("a", 0.2), ("b", 0.6))]
    out, report = average("runs", *seeds)
    mean = report["results"][-1]
    assert mean["name"] == "mean of 2 runs: image query"
    assert mean["metrics"]["mAP"] == pytest.approx(0.4)
    assert mean["metrics"]["num_queries"] == 4
    assert mean["deviation"]["mAP"] == pytest.approx(0.4 / 2**0.5)
    assert "40.0 ± 28.3" in out
    # a model for each split: other people, perhaps another number of them
    splits = [
        save(
            str(k), 0.5, model=model(k, num_identities=k), options={"split": k}, count=k
        )
        for k in (1, 4)
    ]
    assert average("runs", *splits)[1]["results"][-1]["metrics"]["num_queries"] == 2


def test_mean_of_what_was_chosen_on_a_test_set_says_so(save, average):
    files = [save("a", 0.2), save("b", 0.2, "grid", selection={"watched": "test set"})]
    assert "CHOSEN ON A TEST SET" in average("targets", *files)[0]


ONE, OTHER = {"model": model("f")}, {"model": model("g")}
SPLITS = {"viper": {"stamp": {"sha256": "x"}}}


@pytest.mark.parametrize(
    "over, second, message",
    [
        ("targets", {"dataset": "viper"}, "have the same data set, viper; each may"),
        ("targets", {"dataset": "grid", **OTHER}, "fingerprint of the model: g and f"),
        (
            "targets",
            {"dataset": "grid", "training_protocol": {"sources": ["market1501"]}},
            "sources of data.protocol: .'market1501'. and None",
        ),
        (
            "targets",
            {"dataset": "grid", "rules": "image-to-image-no-camera"},
            "grid was ranked under image-to-image-no-camera .version 1, AP 'hits'., that of viper under image-to-im",
        ),
        (
            "targets",
            {"dataset": "grid", "rules": "text-to-image"},
            "was ranked under text-to-image",
        ),
        ("runs", ONE, "have the same fingerprint of the model, f"),
        ("runs", {**OTHER, "dataset": "grid"}, "differ in the data set: grid and vip"),
        ("runs", {"model": model("g", builder="c")}, "differ in the kind of model"),
        ("runs", {**OTHER, "splits": SPLITS}, "hash of the splits: {'viper': 'x'} and"),
        ("runs", {**OTHER, "options": {"a": 1}}, "differ in the data.options but for"),
        ("runs", {**OTHER, "count": 5}, "must have equally many queries"),
        (
            "runs",
            {**OTHER, "rules": "text-to-image"},
            "under different rules have no m",
        ),
    ],
)
def test_results_that_do_not_belong_together(save, average, over, second, message):
    files = save("a", 0.5), save("b", 0.5, **second)
    with pytest.raises(ValueError, match=message):
        average(over, *files)


def test_files_that_are_no_results(save, average, tmp_path):
    good = save("a", 0.5)
    with pytest.raises(ValueError, match="needs at least two results, got 1"):
        average("runs", good)
    with pytest.raises(ValueError, match="nowhere.json: the file cannot be read"):
        average("runs", good, str(tmp_path / "nowhere.json"))
    for content, message in (
        ("{", "no report of results: "),
        ("[]", "no report of results of format 1, its format is None"),
        ('{"format": 1}', "cut short or altered .KeyError: 'results'.; evaluate again"),
        ('{"format": 1, "results": [{}], "extra": {}}', "cut short or altered"),
        ('{"format": 1, "results": [], "extra": {}}', "does not say of which model"),
    ):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            average("runs", good, str(tmp_path / "bad.json"))
