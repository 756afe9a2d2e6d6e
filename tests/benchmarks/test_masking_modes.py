# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
from types import SimpleNamespace

import pytest
from benchmarks import masking_modes, recipe_runs
from benchmarks.masking_modes import (
    compare,
    equal_time_steps,
    measure_speeds,
    pretrain,
    Run,
    summarise,
    table,
)
from examples.demo import DOMAINS


def lines(rates, *evaluations):
    """What a run logs: its speed, and its evaluations."""
    trained = [{"train/images_per_second": value} for value in rates]
    looked = [
        {
            "validation/selection": value,
            **{f"validation/{name}": value for name in masking_modes.HELD_OUT},
        }
        for value in evaluations
    ]
    return trained + looked


def finetuned(folder, value):
    """What a fine-tuning leaves, all its scores alike."""
    for domain in DOMAINS:
        results = folder / "finetune" / domain / "results.json"
        results.parent.mkdir(parents=True)
        rows = [
            {"name": query, "metrics": {"mAP": value}} for query in recipe_runs.QUERIES
        ]
        results.write_text(json.dumps({"results": rows}))
    return folder


def test_speeds_are_of_the_same_turn(tmp_path, monkeypatch):
    # the machine slows down from turn to turn; a run's slow beginning is not its speed
    speeds = {"replace": [40.0, 20.0, 10.0], "drop": [60.0, 30.0, 16.0]}

    def pretrained(datasets, folder, mode, seed, steps, more):
        turn = int(folder.name.split("-")[-1])
        return lines([1.0, *[speeds[mode][turn]] * 3], 0.5)

    monkeypatch.setattr(masking_modes, "pretrain", pretrained)
    found = measure_speeds(tmp_path, tmp_path, ["drop"], [])
    assert found == {"replace": 1.0, "drop": 1.5}


def test_as_many_steps_as_fit_into_the_time():
    assert equal_time_steps(700, 1.5) == 1050
    assert equal_time_steps(700, 0.925) == 648
    # no machine measures a run that closely
    assert equal_time_steps(700, 1.04) == 700


def test_summary_and_table(tmp_path):
    folders = [finetuned(tmp_path / "0", 0.25), finetuned(tmp_path / "1", 0.75)]
    logged = [lines([50.0], 0.1, 0.25), lines([60.0], 0.1, 0.75)]
    row = summarise(Run("drop", 700, 1.25, folders, logged))
    assert row["pretrained text_mAP"] == row["target text query"] == [0.25, 0.75]
    head, _, steps, *scores, speed = table([row]).splitlines()
    assert head.split() == ["mAP", "of", "drop"] and steps.split() == ["steps", "700"]
    assert speed.split()[-1] == "1.25"
    assert len(scores) == 2 + len(DOMAINS) * len(recipe_runs.QUERIES)
    assert all(line.endswith("  50.0 ± 35.4") for line in scores)
    only_pretrained = summarise(Run("drop", 700, 1.25, folders, logged), ())
    assert len(table([only_pretrained]).splitlines()) == 6


@pytest.mark.parametrize("only_pretraining", [False, True])
def test_equal_time_is_a_run_of_its_own_where_it_is_not_equal_steps(
    tmp_path, monkeypatch, only_pretraining
):
    speeds = {"replace": 1.0, "drop": 1.03, "drop-contrast": 1.5}
    asked = []

    def pretrained(datasets, folder, mode, seed, steps, more):
        asked.append((mode, seed, steps, folder.relative_to(tmp_path).as_posix()))
        return lines([40.0], 0.5)

    monkeypatch.setattr(masking_modes, "measure_speeds", lambda *words: speeds)
    monkeypatch.setattr(masking_modes, "pretrain", pretrained)
    tuned = []
    monkeypatch.setattr(masking_modes, "finetune", lambda *words: tuned.append(words))
    arguments = SimpleNamespace(
        datasets=tmp_path, output=tmp_path, seeds=1, steps=700, more=[]
    )
    arguments.modes = ["drop", "drop-contrast"]
    arguments.only_pretraining = only_pretraining
    runs = compare(arguments)
    assert len(tuned) == (0 if only_pretraining else 4)
    assert [(run.name, run.steps) for run in runs] == [
        ("replace", 700),
        ("drop, equal steps", 700),
        ("drop-contrast, equal steps", 700),
        ("drop-contrast, equal time", 1050),
    ]
    assert asked[1] == ("drop", 0, 700, "seed0/drop-700/pretrain")
    assert asked[-1][2:] == (1050, "seed0/drop-contrast-1050/pretrain")


@pytest.mark.parametrize("mode", masking_modes.MODES)
def test_a_run_that_is_there_is_not_made_again(mode, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(recipe_runs, "run", lambda *words: asked.append(words))
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1}) + "\n")
    call = (tmp_path, tmp_path, mode, 1, 40, ["precision=no"])
    assert pretrain(*call) == [{"step": 1}]
    (words,) = asked
    assert {*masking_modes.MODES[mode], "seed=1", "loop.steps=40"} <= set(words)
    assert words[1:3] == ("--resume", str(tmp_path)) and words[-1] == "precision=no"
    (tmp_path / "reconstruction.png").touch()
    pretrain(*call)
    assert len(asked) == 1
