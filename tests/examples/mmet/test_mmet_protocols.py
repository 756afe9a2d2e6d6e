# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


"""Named rules, and what a checkpoint was chosen by, reach the result."""

import json

import pytest
from torchmultimodal_reid.utils.checkpoint import read_checkpoint


def evaluate(run, checkpoint, world, output, *more):
    arguments = [f"checkpoint={checkpoint}", f"data.root={world}", f"output={output}"]
    outcome = run("evaluate", [*arguments, "data.name=toy", *more])
    assert outcome.status == 0, outcome.err
    return outcome.out, json.loads((output / "results.json").read_text())


def test_result_says_that_the_model_was_chosen_on_validation(
    run, finetuned, world, tmp_path
):
    out, report = evaluate(
        run, finetuned / "best", world, tmp_path / "e", "figures=false"
    )
    selection = report["extra"]["selection"]
    assert selection["chosen_by"] == "best on the validation split"
    assert selection["watched"] == "validation split" and selection["step"] in (3, 6)
    assert "TEST SET" not in out


def test_last_checkpoint_is_a_fixed_step(finetuned):
    path = finetuned / "checkpoints" / "step_00000006"
    assert read_checkpoint(path, groups=[]).metadata["selection"] == {
        "chosen_by": "fixed step",
        "step": 6,
        "watched": "validation split",
    }


def test_choosing_on_the_test_set_needs_its_flag_and_stands_on_the_result(
    run, world, tmp_path, tools
):
    more = "modalities=[image] data.select_on_test_set=true"
    arguments = tools.debug("finetune", world, tmp_path / "run", *more.split())
    outcome = run("finetune", arguments)
    assert outcome.status == 0, outcome.err
    assert "test set: image_mAP" in outcome.out + outcome.err
    # nobody was held out: all ten people are learned from
    metadata = read_checkpoint(tmp_path / "run" / "best", groups=[]).metadata
    assert metadata["model"]["num_identities"] == 10
    for name in ("best", "checkpoints/step_00000006"):
        out, report = evaluate(
            run,
            tmp_path / "run" / name,
            world,
            tmp_path / name.replace("/", "_"),
            "figures=false",
            "queries=[image]",
        )
        assert "CHOSEN ON A TEST SET" in out
        assert report["extra"]["selection"]["watched"] == "test set"


@pytest.mark.parametrize(
    "name, kind, num_valid",
    [("text-to-image", "text", 16), ("image-to-image-no-camera", "image", 8)],
)
def test_named_rules(run, finetuned, world, tmp_path, name, kind, num_valid):
    out, report = evaluate(
        run, finetuned / "best", world, tmp_path / "e", f"protocol={name}"
    )
    rows = {row["name"]: row for row in report["results"]}
    assert f"{kind} query" in rows and len(rows) >= 2
    assert {row["protocol"]["name"] for row in rows.values()} == {name}
    assert not any(row["protocol"]["camera_filter"] for row in rows.values())
    assert rows[f"{kind} query"]["metrics"]["num_valid_queries"] == num_valid
    assert f"{name} (version 1)" in out
    assert report["counts"]["gallery_cameras"] == 2
    assert (tmp_path / "e" / "ranked_lists.png").is_file()


def test_unknown_rules(run, finetuned, world, tmp_path):
    arguments = [f"checkpoint={finetuned / 'best'}", f"data.root={world}"]
    outcome = run(
        "evaluate", [*arguments, f"output={tmp_path / 'e'}", "protocol=text-to-img"]
    )
    assert outcome.status == 2
    assert "Did you mean text-to-image?" in outcome.err
    assert not (tmp_path / "e").exists()


def test_rules_for_captions_where_there_are_none(run, finetuned, own_world, tmp_path):
    (own_world / "captions.json").unlink()
    arguments = [f"checkpoint={finetuned / 'best'}", f"data.root={own_world}"]
    outcome = run(
        "evaluate", [*arguments, f"output={tmp_path / 'e'}", "protocol=text-to-image"]
    )
    assert outcome.status == 2
    assert "protocol text-to-image is for text queries, of which there are none" in (
        outcome.err
    )
