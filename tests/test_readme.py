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

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_python_runs():
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    names = {}
    for block in blocks:
        exec(block, names)
    for embedding in (names["gallery"], names["by_text"], names["by_both"]):
        torch.testing.assert_close(embedding.norm(dim=-1), torch.ones(2))


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
