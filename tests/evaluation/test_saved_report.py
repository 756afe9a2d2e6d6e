# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import torch
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.evaluation.protocols import get_protocol
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics
from torchmultimodal_reid.evaluation.report import build_report, ResultRow, write_report
from torchmultimodal_reid.evaluation.saved_report import read_report

CMC = torch.tensor([0.25, 1 / 3], dtype=torch.float64)
ROWS = [
    ResultRow(
        "image query",
        get_protocol("image-to-image"),
        RankingMetrics(0.1, 0.2, 0.3, CMC, {1e-3: 0.25}, 10, 9),
        {"re_rank": True},
        {"mAP": 0.01},
    ),
    ResultRow(
        "text query",
        get_protocol("text-to-image"),
        RankingMetrics(0.4, 0.5, 0.6, CMC[:1], None, 3, 3),
    ),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    extra = {"root": "somewhere"}
    report = build_report(ROWS, dataset="toys", counts={}, extra=extra)
    return write_report(tmp_path / "results.json", report)


def test_what_was_written_is_read(path: Path) -> None:
    saved = read_report(str(path))
    assert saved.path == str(path) and saved.extra == {"root": "somewhere"}
    assert saved.content["dataset"] == "toys"
    assert len(saved.rows) == 2
    for row, expected in zip(saved.rows, ROWS):
        assert row.metrics.cmc.dtype == torch.float64
        assert row.metrics.cmc.tolist() == expected.metrics.cmc.tolist()
        # without the curves, which cannot be compared with ==
        metrics = row.metrics._replace(cmc=CMC)
        assert metrics == expected.metrics._replace(cmc=CMC)
        assert row._replace(metrics=metrics) == expected._replace(metrics=metrics)


def without(key: str) -> Callable[[Dict[str, Any]], None]:
    return lambda content: content.pop(key)


@pytest.mark.parametrize(
    "change, message",
    [
        (without("format"), "no report of results of format .*, its format is None"),
        (lambda content: content.update(format=0), "its format is 0; evaluate again"),
        (without("results"), r"cut short or altered \(KeyError: 'results'\)"),
        (lambda content: content.update(extra=[]), "TypeError: extra is no object"),
        (lambda content: content["results"][0]["metrics"].pop("mAP"), "TypeError: "),
        (lambda content: content.update(results=[3]), "cut short or altered"),
    ],
)
def test_what_is_no_report(path: Path, change: Callable, message: str) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=f"results.json: .*{message}"):
        read_report(str(path))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.json: the file cannot be read \(No such"):
        read_report(str(tmp_path / "a.json"))
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(DataError, match="b.json: no report of results: Expecting"):
        read_report(str(tmp_path / "b.json"))
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(DataError, match="c.json: no report .* its format is None"):
        read_report(str(tmp_path / "c.json"))
