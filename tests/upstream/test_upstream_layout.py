# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What `make upstream-check` would send: on a toy library, and that every part of this one can be sent."""

import subprocess
from pathlib import Path

import pytest
from upstream.checks import Checks, diff_stat, lay_out
from upstream.layout import as_upstream, library_files, pull_request

ROOT = Path(__file__).resolve().parents[2]
HEADER = "# Copyright (c) torchmultimodal_reid contributors.\n# All rights reserved.\n"


@pytest.fixture
def repository(tmp_path):
    """modules/losses/a.py imports b.py; a.py has a test of its own, b.py one of another name."""
    files = {
        "torchmultimodal_reid/__init__.py": "",
        "torchmultimodal_reid/modules/__init__.py": "",
        "torchmultimodal_reid/modules/losses/__init__.py": "",
        "torchmultimodal_reid/modules/losses/a.py": "from torchmultimodal_reid.modules.losses.b import one\n",
        "torchmultimodal_reid/modules/losses/b.py": "one = 1\n",
        "torchmultimodal_reid/modules/losses/c.py": "two = 2\n",
        "torchmultimodal_reid/models/__init__.py": "",
        "torchmultimodal_reid/models/d.py": "",
        "torchmultimodal_reid/transforms/torchtext_caption.py": "",
        "tests/modules/losses/test_a.py": "import torchmultimodal_reid.modules.losses.a as a\n\n\n"
        "def test_one():\n    assert a.one == 1\n",
        "tests/modules/losses/test_small.py": "from torchmultimodal_reid.modules.losses import b\n",
    }
    for name, text in files.items():
        write(tmp_path / "ours" / name, HEADER + text)
    package = tmp_path / "installed" / "torchmultimodal"
    write(package / "modules" / "losses" / "__init__.py", "")
    write(package / "modules" / "__init__.py", "")
    write(package / "__init__.py", "")
    return tmp_path / "ours"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def laid_out(repository, tmp_path):
    """The tree of the pull request of a.py, and the checks on it."""
    request = pull_request(repository, "modules/losses/a.py")
    tree = tmp_path / "tree"
    tree.mkdir()
    lay_out(repository, request, tmp_path / "installed" / "torchmultimodal", tree)
    return Checks(repository, tree, request, tools=tmp_path / "tools")


@pytest.mark.parametrize(
    "part", ["modules/losses/a.py", "torchmultimodal_reid/modules/losses/a.py"]
)
def test_a_part_takes_along_what_it_imports_and_the_tests_of_both(repository, part):
    request = pull_request(repository, part)
    losses = "torchmultimodal_reid/modules/losses"
    assert request.parts == [f"{losses}/a.py", f"{losses}/b.py"]
    assert request.tests == [
        "tests/modules/losses/test_a.py",
        "tests/modules/losses/test_small.py",
    ]


def test_a_part_without_a_test(repository):
    message = (
        "c.py has no test below tests/modules/.*write tests/modules/losses/test_c.py"
    )
    for part in ("modules/losses/c.py", "modules/losses", "all"):
        with pytest.raises(ValueError, match=message):
            pull_request(repository, part)


@pytest.mark.parametrize(
    "statement",
    [
        "import torchmultimodal_reid.models.d",
        "from torchmultimodal_reid.models import d",
        "from torchmultimodal_reid.models.d import e",
    ],
)
def test_what_does_not_go_upstream_is_not_imported(repository, statement):
    test = repository / "tests/modules/losses/test_small.py"
    test.write_text(f"{test.read_text()}{statement}\n")
    message = "test_small.py imports torchmultimodal_reid.models.d, which does not go"
    with pytest.raises(ValueError, match=message):
        pull_request(repository, "modules/losses/b.py")


@pytest.mark.parametrize(
    "part", ["modules/losses/aa.py", "models/d.py", "transforms/torchtext_caption.py"]
)
def test_no_such_part(repository, part):
    with pytest.raises(ValueError, match=f"may go upstream, or all, got '{part}'"):
        pull_request(repository, part)


def test_the_nearest_part_is_named(repository):
    with pytest.raises(ValueError, match="the nearest is modules/losses/a.py"):
        pull_request(repository, "modules/loses/a.py")


def test_header_and_name_become_upstreams():
    text = (
        HEADER + "import torchmultimodal_reid.modules.a\nmy_torchmultimodal_reid = 1\n"
    )
    assert as_upstream(text) == (
        "# Copyright (c) Meta Platforms, Inc. and affiliates.\n# All rights reserved.\n"
        "import torchmultimodal.modules.a\nmy_torchmultimodal_reid = 1\n"
    )
    with pytest.raises(ValueError, match="must begin with '# Copyright"):
        as_upstream("import torch\n")


def test_the_diff_holds_the_part_and_its_tests_alone(laid_out):
    lines = diff_stat(laid_out.tree).splitlines()
    assert [line.split()[0] for line in lines] == [
        "tests/modules/losses/test_a.py",
        "tests/modules/losses/test_small.py",
        "torchmultimodal/modules/losses/a.py",
        "torchmultimodal/modules/losses/b.py",
        "4",
    ]


def test_a_new_folder_is_a_package(repository, tmp_path):
    for kind, name in (("torchmultimodal_reid", "e.py"), ("tests", "test_e.py")):
        text = "import torchmultimodal_reid.modules.new.e\n" if kind == "tests" else ""
        write(repository / kind / "modules" / "new" / name, HEADER + text)
    request = pull_request(repository, "modules/new/e.py")
    (tmp_path / "tree").mkdir()
    package = tmp_path / "installed" / "torchmultimodal"
    lay_out(repository, request, package, tmp_path / "tree")
    stat = diff_stat(tmp_path / "tree")
    assert "torchmultimodal/modules/new/__init__.py" in stat
    assert "tests/modules/new/__init__.py" in stat


def test_what_upstream_has_is_not_overwritten(repository, tmp_path):
    package = tmp_path / "installed" / "torchmultimodal"
    write(package / "modules" / "losses" / "b.py", "")
    request = pull_request(repository, "modules/losses/a.py")
    (tmp_path / "tree").mkdir()
    with pytest.raises(ValueError, match="upstream has a torchmultimodal/modules/loss"):
        lay_out(repository, request, package, tmp_path / "tree")


def test_checks_pass(laid_out):
    assert laid_out.header().passed and laid_out.names().passed
    outcome = laid_out.tests()
    assert outcome.passed, outcome.output
    assert "4 files changed" in diff_stat(laid_out.tree), "checks left something behind"


def test_checks_fail(laid_out):
    part = laid_out.tree / "torchmultimodal/modules/losses/b.py"
    part.write_text("# see torchmultimodal.modules.losses.missing.name\none = 2\n")
    assert not laid_out.header().passed
    names = laid_out.names()
    assert not names.passed and "losses.missing.name" in names.output
    assert not laid_out.tests().passed


def test_a_missing_tool_fails(laid_out):
    folder = laid_out.tools / "bin"
    folder.mkdir(parents=True)
    for name in ("python", "vermin"):
        (folder / name).write_text("#!/bin/sh\necho no such tool\nexit 3\n")
        (folder / name).chmod(0o755)
    for check in (laid_out.ufmt, laid_out.flake8, laid_out.mypy, laid_out.python38):
        assert check() == (False, "no such tool")


@pytest.mark.parametrize("part", library_files(ROOT))
def test_every_part_can_be_laid_out(part):
    request = pull_request(ROOT, part)
    assert part in request.parts and request.tests


def test_git_keeps_the_settings():
    done = subprocess.run(
        ["git", "check-ignore", "-q", "upstream/settings/.flake8"], cwd=ROOT
    )
    assert done.returncode == 1, "git would leave them out"
