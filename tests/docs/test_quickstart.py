# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The quickstart, run from its first line to its last in a folder without the repository."""

import re
from pathlib import Path

import pytest
from benchmarks.new_user import BLOCK, commands, steps
from examples.common.config import load_config
from examples.mmet.definitions import FinetuneConfig
from torchmultimodal_reid.data.inspect import __main__ as inspect
from torchmultimodal_reid.data.synthetic import __main__ as synthetic

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
PROGRAMS = {
    "torchmultimodal_reid.data.synthetic": synthetic.main,
    "torchmultimodal_reid.data.inspect": inspect.main,
}


def test_the_page_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    pytest.importorskip("faiss")
    monkeypatch.chdir(tmp_path)
    said, statuses = [], {}
    for language, text in BLOCK.findall(PAGE):
        if language == "python":
            exec(compile(text, "quickstart.md", "exec"), {})
        for _, module, *arguments in commands(text):
            if module in PROGRAMS:
                statuses[module] = PROGRAMS[module]([*arguments, "--quiet"])
        said.append(capsys.readouterr().out)
    assert list(statuses.values()) == [0, 1]
    _, written, by_text, again, _, inspected, scores, _ = said
    assert written == "people: written\n"
    for line in by_text.splitlines():
        found = re.fullmatch(r"-?\d\.\d\d person (\d+) people/\w+/(\d{4})_.+", line)
        assert found and int(found[1]) == int(found[2]), line
    assert len(by_text.splitlines()) == len(again.splitlines()) == 3
    assert "the training part is empty" in inspected
    assert "NOT fit for training" in inspected
    number = r"\d+\.\d%"
    assert re.fullmatch(
        rf"image: mAP {number}, rank-1 {number}\ntext: mAP {number}, rank-1 {number}\n",
        scores,
    )


def test_the_training_command_is_one():
    (words,) = [words for _, *words in commands(PAGE) if "finetune" in words[0]]
    words = words[1:]
    words[words.index("--config") + 1] = str(ROOT / words[words.index("--config") + 1])
    config, _ = load_config(FinetuneConfig, words, prog="finetune", description="")
    assert (config.data.dataset, config.data.root) == ("custom", "people.csv")


def test_what_is_timed_for_a_new_user():
    walk = steps(PAGE)
    assert [step.arguments[0] for step in walk] == ["-m", "-c", "-c", "-c", "-m", "-c"]
    assert {step.heading for step in walk} == {
        "Somebody to look for",
        "Search by text",
        "Your own images, from a CSV",
    }
    assert walk[0].arguments[1] == "torchmultimodal_reid.data.synthetic"
    assert walk[4].arguments[2:] == ("custom", "people.csv")
