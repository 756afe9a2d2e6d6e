# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What the README and CONTRIBUTING say of files, commands and code is so."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def program_runs(block):
    names = {"__name__": "__main__"}
    exec(compile(block, "README.md", "exec"), names)
    return names


@pytest.fixture
def folder(tmp_path, write_model, monkeypatch):
    """What the README's programs expect where they are started: checkpoints and photos."""
    write_model(tmp_path / "runs" / "finetune" / "best")
    write_model(tmp_path / "runs" / "captioner" / "best", "vtbr")
    (tmp_path / "photos").mkdir()
    for i, name in enumerate("abcd"):
        photo = Image.new("RGB", (20, 40), (60 * i, 255 - 60 * i, 100))
        photo.save(tmp_path / "photos" / f"{name}.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder):
    """Runs the block of the README in which a text occurs, alone, and returns its names."""

    def run(part):
        (block,) = [block for block in BLOCKS if part in block]
        return program_runs(block)

    return run


@pytest.mark.parametrize("number", range(README.count("```python")))
def test_every_python_block_runs_alone(number, folder):
    if "GalleryIndex" in BLOCKS[number]:
        pytest.importorskip("faiss")
    program_runs(BLOCKS[number])


def test_embedding(run):
    names = run("by_text @ gallery.T")
    assert names["similarity"].shape == (1, 4)
    for rows in (names["gallery"], names["by_text"], names["by_both"]):
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))


def test_searching(run, folder, capsys):
    pytest.importorskip("faiss")
    run("index.search")
    lines = capsys.readouterr().out.splitlines()
    found = [re.fullmatch(r"-?\d\.\d\d photos/[abcd]\.jpg", line) for line in lines]
    assert len(lines) == 3 and all(found)
    assert (folder / "runs" / "index" / "index.json").is_file()


def test_captioning_and_loading(run, capsys):
    names = run(".caption(")
    assert isinstance(names["captions"], list) and len(names["captions"]) == 1
    assert "mmet_for_reid (32, 16)" in capsys.readouterr().out


def test_building(run):
    assert run("mmet_tiny()")["embedding"].shape == (2, 192)


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_make_targets_exist(text):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake ([a-z]{2,})\b(?=[`\s\"])", text))
    assert {"demo", "test"} & targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_links_and_pictures_exist():
    links = re.findall(r"\]\(([^)#:]+)\)", README + CONTRIBUTING)
    assert "LICENSE" in links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_configurations_of_the_commands_exist():
    commands = re.findall(r"^python -m (.+)$", README, flags=re.MULTILINE)
    assert commands
    for command in commands:
        module, *arguments = shlex.split(command)
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
        for argument in arguments:
            if argument.endswith(".yaml"):
                assert (ROOT / argument).is_file(), argument


def test_every_dependency_is_explained():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    required = re.findall(
        r'^ {8,12}"([a-z0-9-]+)[>=.\d]*",$', setup, flags=re.MULTILINE
    )
    assert "torch" in required and "omegaconf" in required
    table = README[README.index("What it depends on") : README.index("## Layout")]
    assert [name for name in required if name not in table] == []
