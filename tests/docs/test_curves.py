# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Curves of runs, drawn and as a table."""

import json

import pytest
from docs.figures.curves import curve_table, draw, read_curve


@pytest.fixture
def runs(tmp_path):
    """Two runs of 100 steps: the loss falls from 9.9 or 11.9 by .1 a step; mAP comes at the 50th and the last."""
    folders = []
    for name, start in (("a", 10.0), ("b", 12.0)):
        folder = tmp_path / name
        folder.mkdir()
        rows = [{"step": at, "train/loss": start - 0.1 * at} for at in range(1, 101)]
        rows += [{"step": at, "validation/mAP": at / 200} for at in (50, 100)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
        folders.append(folder)
    return folders


def test_table_has_mean_and_spread_after_shares_of_the_steps(runs):
    first, _, loss, score = curve_table(runs, ["train/loss", "validation/mAP"]).split(
        "\n"
    )
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells == ["after", "10 %", "25 %", "50 %", "75 %", "100 %"]
    cells = [cell.strip() for cell in loss.strip("|").split("|")]
    assert cells[:2] == ["`train/loss`", "10 ± 1.4"] and cells[-1] == "1 ± 1.4"
    cells = [cell.strip() for cell in score.strip("|").split("|")]
    # the score comes at the 50th step for the first time
    assert cells[1:] == ["", "", "0.25 ± 0", "0.25 ± 0", "0.5 ± 0"]


def test_table_of_one_run_has_no_spread(runs):
    assert "| 7.5" in curve_table(runs[:1], ["train/loss"])


def test_each_run_is_a_line_in_each_panel(runs):
    figure = draw(runs, ["train/loss", "validation/mAP"])
    panels = figure.axes
    assert [axes.get_title() for axes in panels] == ["train/loss", "validation/mAP"]
    assert [len(axes.lines) for axes in panels] == [2, 2]
    assert list(panels[1].lines[0].get_xdata()) == [50, 100]


def test_a_key_that_was_not_logged(runs):
    message = "a logged no loss; expected one of train/loss, validation/mAP"
    with pytest.raises(ValueError, match=message):
        read_curve(runs[0], "loss")
