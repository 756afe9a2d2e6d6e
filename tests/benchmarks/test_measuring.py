# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json

from benchmarks.measuring import machine, write_results

STAMP = {
    "processor": "AMD EPYC, 2 cores",
    "threads": 2,
    "devices": ["cpu"],
    "versions": {"torch": "2.15.0"},
    "commit": None,
    "dirty": None,
}


def test_machine():
    assert machine(STAMP) == "AMD EPYC, 2 cores, 2 threads, torch 2.15.0"
    other = {"devices": ["NVIDIA H100"], "commit": 40 * "a", "dirty": True}
    assert machine({**STAMP, **other}) == (
        "AMD EPYC, 2 cores, 2 threads, NVIDIA H100, torch 2.15.0, commit aaaaaaaaaa with changes"
    )


def test_the_machine_is_said_and_written(tmp_path, capsys):
    write_results(None, {"seconds": 1})
    said = capsys.readouterr().out
    assert "torch" in said and "written" not in said
    path = tmp_path / "new" / "results.json"
    write_results(path, {"seconds": 1})
    assert capsys.readouterr().out == f"{said}written: {path}\n"
    content = json.loads(path.read_text())
    assert content["results"] == {"seconds": 1}
    assert machine(content["environment"]) == said.strip()
