# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Faults are put where a program runs, and the tests that are asked are those of the part."""

from pathlib import Path

import pytest
from benchmarks.mutants import find_mutants
from benchmarks.mutation import draw, find_tests, report, Trial, try_mutant

ROOT = Path(__file__).resolve().parents[2]
SOURCE = '''\
"""A docstring."""
from typing import Callable, Optional

Embed = Callable[[int], int]
WIDTH: int = 3


def double(x: int, name: str = "a") -> int:
    """Twice."""
    assert x, f"no {name}"
    if x < 0 and name:
        raise ValueError("negative")
    y = -x
    y += 1
    print(x, end="")
    return x * 2 if y else max(x, 1)
'''


def test_what_is_changed():
    changes = {(mutant.line, str(mutant)) for mutant in find_mutants(SOURCE)}
    assert changes == {
        (5, "3 -> (4)"),
        (8, "\"a\" -> ('XXa')"),
        (11, "x < 0 and name -> not (x < 0 and name)"),
        (11, "x < 0 and name -> (x < 0 or name)"),
        (11, "x < 0 -> (x <= 0)"),
        (11, "0 -> (1)"),
        (12, 'raise ValueError("negative") -> pass'),
        (13, "y = -x -> y = None"),
        (13, "-x -> (x)"),
        (14, "y += 1 -> y -= 1"),
        (14, "1 -> (2)"),
        (15, 'print(x, end="") -> pass'),
        (15, 'print(x, end="") -> (print(x))'),
        (15, "\"\" -> ('XX')"),
        (16, "return x * 2 if y else max(x, 1) -> return None"),
        (16, "x * 2 if y else max(x, 1) -> (max(x, 1) if y else x * 2)"),
        (16, "x * 2 -> (x / 2)"),
        (16, "2 -> (3)"),
        (16, "1 -> (2)"),
    }


def test_a_change_is_made_in_its_place():
    source = 'a = "é"\nb = [1, 2 + 3]\n'
    (sum_,) = [mutant for mutant in find_mutants(source) if mutant.old == "2 + 3"]
    assert sum_.apply(source) == 'a = "é"\nb = [1, (2 - 3)]\n'


def test_every_change_of_a_file_is_python():
    path = ROOT / "torchmultimodal_reid/modules/masking/token_masking.py"
    source = path.read_text(encoding="utf-8")
    mutants = find_mutants(source)
    assert len(mutants) > 50
    for mutant in mutants:
        compile(mutant.apply(source), path.name, "exec")


@pytest.fixture
def tree(tmp_path):
    """A library with a part of two files, and tests of the second, which uses the first."""
    files = {
        "torchmultimodal_reid/modules/__init__.py": "",
        "torchmultimodal_reid/modules/a.py": "def one():\n    return 1\n",
        "torchmultimodal_reid/modules/b.py": "from torchmultimodal_reid.modules.a import one\n",
        "torchmultimodal_reid/modules/c.py": "UNUSED = 1\n",
        "tests/modules/test_b.py": (
            "from torchmultimodal_reid.modules import b\n\n\ndef test():\n    assert b.one() == 1\n"
        ),
        "tests/modules/test_z.py": "import torchmultimodal_reid.modules.a\n\n\ndef test():\n    pass\n",
        "tests/other/test_a.py": "import torchmultimodal_reid.modules.a\n",
        "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\naddopts = ["--import-mode=importlib"]\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_tests_of_a_part(tree):
    file = "torchmultimodal_reid/modules/{}.py"
    direct, indirect = "tests/modules/test_z.py", "tests/modules/test_b.py"
    assert find_tests(tree, file.format("a")) == [direct, indirect]
    assert find_tests(tree, file.format("b")) == [indirect]
    assert find_tests(tree, file.format("c")) == []


def test_lines_are_drawn_alike_from_a_seed(tree):
    drawn = draw(tree, ["modules"], 2, seed=0)
    assert drawn == draw(tree, ["modules"], 2, seed=0)
    assert [(file[-4:], mutant.line) for file, mutant in drawn] == [
        ("a.py", 2),
        ("c.py", 1),
    ]
    with pytest.raises(ValueError, match="1 to 2 lines, .* modules .* got 3"):
        draw(tree, ["modules"], 3, seed=0)


def test_a_change_is_noticed_or_not_and_taken_back(tree):
    for name, outcome in (("a", "killed"), ("c", "survived")):
        file = f"torchmultimodal_reid/modules/{name}.py"
        before = (tree / file).read_text()
        mutant, *_ = find_mutants(before)
        trial = try_mutant(tree, file, mutant, limit=60)
        assert trial[:4] == (file, mutant.line, str(mutant), outcome)
        assert (tree / file).read_text() == before


def test_a_change_that_loops_for_ever_is_stopped(tree):
    file = "torchmultimodal_reid/modules/a.py"
    source = "def one():\n    while 1 < 1:\n        pass\n    return 1\n"
    (tree / file).write_text(source)
    (mutant,) = [one for one in find_mutants(source) if one.new == "(1 <= 1)"]
    assert try_mutant(tree, file, mutant, limit=1).outcome == "too slow"


def test_the_report_counts_what_was_noticed(capsys):
    outcomes = ("killed", "too slow", "survived", "killed")
    report("modules", [Trial("a.py", 1, "1 -> 2", each, 0.1) for each in outcomes])
    assert capsys.readouterr().out == "modules: 3 of 4 changes noticed, 75%\n"
