# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json

import pytest
from benchmarks import masking_modes, recipe_runs
from benchmarks.masking_modes import (
    equal_time_steps,
    final_metrics,
    pretrain,
    rate,
    summarise,
    table,
)


def lines(rates, *evaluations):
    """What a run logs: its speed, and two evaluations."""
    trained = [{"train/images_per_second": value} for value in rates]
    looked = [
        {
            "validation/selection": value,
            **{f"validation/{name}": value for name in masking_modes.METRICS},
        }
        for value in evaluations
    ]
    return trained + looked


def test_the_slow_beginning_is_no_rate():
    assert rate(lines([2.0, 50.0, 52.0, 51.0], 0.5)) == 50.5


def test_the_last_evaluation_counts():
    assert set(final_metrics(lines([1.0], 0.25, 0.5)).values()) == {0.5}


def test_as_many_steps_as_fit_into_the_time():
    # one and a half times as fast, whatever else the machine did in the second seed
    assert equal_time_steps(700, [40.0, 20.0, 40.0], [60.0, 30.0, 66.0]) == 1050


def test_table():
    row = summarise("drop", 700, [lines([50.0], 0.25), lines([60.0], 0.75)])
    assert row["text_mAP"] == [0.25, 0.75]
    cells = table([row]).splitlines()[-1].split("  ")
    shown = [cell.strip() for cell in cells if cell.strip()]
    assert shown == ["drop", "700", *["50.0 ± 35.4"] * 4, "55"]


@pytest.mark.parametrize("mode", masking_modes.MODES)
def test_a_run_that_is_there_is_not_made_again(mode, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(recipe_runs, "run", lambda *words: asked.append(words))
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1}) + "\n")
    call = (tmp_path, tmp_path, mode, 1, 40, ["precision=no"])
    assert pretrain(*call) == [{"step": 1}]
    (words,) = asked
    assert {f"masking.mode={mode}", "seed=1", "loop.steps=40"} <= set(words)
    assert words[1:3] == ("--resume", str(tmp_path)) and words[-1] == "precision=no"
    (tmp_path / "reconstruction.png").touch()
    pretrain(*call)
    assert len(asked) == 1
