# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchmultimodal_reid.evaluation import report
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.protocols import get_protocol
from torchmultimodal_reid.evaluation.ranking import RankingMetrics
from torchmultimodal_reid.evaluation.report import (
    build_report,
    count_rows,
    format_table,
    ResultRow,
    source_commit,
    versions,
    write_report,
)

CMC = torch.arange(1, 13, dtype=torch.float64) / 16
METRICS = RankingMetrics(0.1234, 0.1, 0.5, CMC, {1e-3: 0.25}, 10, 9)
ROWS = [
    ResultRow("image query", get_protocol("image-to-image"), METRICS),
    ResultRow(
        "text query",
        get_protocol("text-to-image"),
        METRICS._replace(mAP=1.0, num_valid_queries=10, cmc=CMC[:5]),
    ),
]


def test_table() -> None:
    lines = format_table(ROWS, title="Demo, source domain").splitlines()
    assert lines[0] == "Demo, source domain"
    assert lines[1].split() == ["mAP", "rank-1", "rank-5", "rank-10", "mINP", "queries"]
    assert lines[3].split() == "image query 12.3 6.2 31.2 62.5 50.0 9 of 10".split()
    # a curve of five ranks has no tenth
    assert lines[4].split() == "text query 100.0 6.2 31.2 - 50.0 10".split()
    assert len({len(line) for line in lines[1:]}) == 1


def test_table_reports_the_variant_of_the_protocol() -> None:
    protocol = replace(ROWS[0].protocol, average_precision="trapezoid")
    assert "10.0" in format_table([ROWS[0]._replace(protocol=protocol)])


def test_no_map_where_the_protocol_defines_none() -> None:
    row = ROWS[0]._replace(protocol=get_protocol("image-to-image-single-gallery"))
    row = row._replace(deviation={"mAP": 0.5, "rank1": 0.01})
    line = format_table([row]).splitlines()[2]
    assert line.split()[2:6] == ["-", "6.2", "±", "1.0"]


def test_report_carries_its_stamp(tmp_path: Path) -> None:
    counts = {"query_rows": 10}
    path = tmp_path / "new" / "results.json"
    written = write_report(
        path,
        build_report(
            ROWS, dataset="demo", counts=counts, seed=3, extra={"checkpoint": "best"}
        ),
    )
    read = json.loads(written.read_text())
    assert read["dataset"] == "demo" and read["counts"] == counts and read["seed"] == 3
    assert read["extra"] == {"checkpoint": "best"}
    first = read["results"][0]
    assert first["protocol"]["name"] == "image-to-image"
    assert first["protocol"]["version"] == 1
    assert first["protocol"]["average_precision"] == "hits"
    assert first["protocol"]["camera_filter"] is True
    assert first["metrics"]["mAP"] == 0.1234
    assert first["metrics"]["cmc"] == CMC.tolist()
    assert first["metrics"]["tpr_at_fpr"] == {"0.001": 0.25}
    assert read["versions"]["torch"] == torch.__version__
    assert read["date"].endswith("+00:00")
    assert [entry.name for entry in path.parent.iterdir()] == ["results.json"]


def test_a_report_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    write_report(path, {"a": 1})
    with pytest.raises(ValueError):
        write_report(path, {"a": float("nan")})

    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(report.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_versions_name_the_packages() -> None:
    assert {"python", "torch", "torchvision", "torchmultimodal", "numpy"} <= set(
        versions()
    )


def test_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        subprocess.run(command, check=True, capture_output=True)

    file = tmp_path / "report.py"
    file.write_text("1")
    monkeypatch.setattr(report, "__file__", str(file))
    git("init")
    # a copy that lies in a repository without belonging to it
    assert source_commit() is None
    git("add", "report.py")
    git("commit", "-m", "x")
    commit = source_commit()
    assert commit is not None and len(commit) == 40
    file.write_text("2")
    assert source_commit() == f"{commit}+changes"


def test_counts() -> None:
    def features(identity: list, camera: list) -> Features:
        rows = len(identity)
        return Features(
            torch.zeros(rows, 2),
            torch.tensor(identity),
            torch.tensor(camera),
            torch.arange(rows),
        )

    assert count_rows(features([1, 1, 2], [0, 1, 0]), features([2], [4])) == {
        "query_rows": 3,
        "query_identities": 2,
        "query_cameras": 2,
        "gallery_rows": 1,
        "gallery_identities": 1,
        "gallery_cameras": 1,
    }
