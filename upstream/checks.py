# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The tree of the would-be pull request, and what upstream runs on it.

The tree is the installed TorchMultimodal, committed, with the part and its test added under their upstream names.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, List, NamedTuple

from upstream.layout import (
    as_upstream,
    LIBRARY,
    path_upstream,
    PullRequest,
    THEIR_HOLDER,
    UPSTREAM,
)

SETTINGS = Path(__file__).parent / "settings"
NAMES = re.compile(rf"\b{UPSTREAM}((?:\.[A-Za-z_]\w*)+)")


class Outcome(NamedTuple):
    passed: bool
    output: str


def installed_upstream() -> Path:
    """The folder of the installed TorchMultimodal.

    Raises:
        ValueError: If it is not installed.
    """
    spec = importlib.util.find_spec(UPSTREAM)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            "torchmultimodal is not installed: run it by `make upstream-check`"
        )
    return Path(spec.submodule_search_locations[0])


def lay_out(root: Path, request: PullRequest, package: Path, tree: Path) -> None:
    """Writes the tree: upstream as a commit, then the parts and their tests, added to git's index.

    Args:
        root (Path): This repository.
        request (PullRequest): What to add.
        package (Path): The folder of the installed package.
        tree (Path): An empty folder.

    Raises:
        ValueError: If upstream has a file of that name already.
    """
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, tree / UPSTREAM, ignore=ignore)
    shutil.copytree(SETTINGS, tree, dirs_exist_ok=True)
    header = as_upstream((root / LIBRARY / "modules" / "__init__.py").read_text())
    packages = [path.parent for path in (tree / UPSTREAM).rglob("__init__.py")]
    for folder in packages:  # upstream's tests have the same folders, as packages
        inside = folder.relative_to(tree / UPSTREAM)
        if inside.parts[:1] in ((), ("modules",), ("transforms",)):
            add(tree / "tests" / inside / "__init__.py", header)
    git(tree, "init", "--quiet")
    git(tree, "add", "--all", "--force")
    git(tree, "commit", "--quiet", "--message", "upstream")
    for file in request.parts + request.tests:
        target = tree / path_upstream(file)
        if target.exists():
            raise ValueError(f"{file}: upstream has a {path_upstream(file)} already")
        if not (target.parent / "__init__.py").exists():
            add(target.parent / "__init__.py", header)
        add(target, as_upstream((root / file).read_text(encoding="utf-8")))


def add(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def git(tree: Path, *arguments: str) -> str:
    who = ["-c", "user.name=check", "-c", "user.email=check@localhost"]
    command = ["git", *who, "-c", "core.hooksPath=/dev/null", *arguments]
    done = subprocess.run(
        command, cwd=tree, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def diff_stat(tree: Path) -> str:
    """What git says of the pull request's size."""
    git(tree, "add", "--all", "--force")
    return git(tree, "diff", "--cached", "--stat=120")


class Checks(NamedTuple):
    """Everything that is run, each giving an :class:`Outcome`.

    Args:
        root (Path): This repository.
        tree (Path): The tree of :func:`lay_out`.
        request (PullRequest): What was added to it.
        tools (Path): The folder of the virtual environment that has ``upstream/requirements.txt``.
    """

    root: Path
    tree: Path
    request: PullRequest
    tools: Path

    def all(self) -> List[Callable[[], Outcome]]:
        return [
            self.header,
            self.names,
            self.ufmt,
            self.flake8,
            self.mypy,
            self.python38,
            self.tests,
        ]

    def header(self) -> Outcome:
        """licence header"""
        without = [
            file for file in self._files() if THEIR_HOLDER not in self._text(file)
        ]
        return Outcome(not without, "\n".join(without))

    def names(self) -> Outcome:
        """every name of TorchMultimodal is there"""
        unknown = [
            f"{file}: {UPSTREAM}{name}"
            for file in self._files()
            for name in NAMES.findall(self._text(file))
            if not self._is_there(name[1:].split("."))
        ]
        return Outcome(not unknown, "\n".join(unknown))

    def ufmt(self) -> Outcome:
        """ufmt 2.0.1, black 22.12.0, usort 1.0.5"""
        # here the files are as we keep them; there lines are shorter after the renaming, and formatted once more
        ours = [*self.request.parts, *self.request.tests]
        outcome = self._run("ufmt", "check", *(str(self.root / file) for file in ours))
        self._run("ufmt", "format", *self._files())
        return outcome

    def flake8(self) -> Outcome:
        """flake8 4.0.1, bugbear 22.4.25, pep8-naming 0.12.1"""
        return self._run("flake8", *self._files())

    def mypy(self) -> Outcome:
        """mypy 1.8.0"""
        parts = [path_upstream(file) for file in self.request.parts]
        cache = self.tools.absolute() / "mypy_cache"
        # what upstream's other files and other packages have wrong is not ours to mend
        options = ["--follow-imports=silent", "--python-executable", sys.executable]
        return self._run("mypy", *options, "--cache-dir", str(cache), *parts)

    def python38(self) -> Outcome:
        """Python 3.8"""
        options = ["--target=3.8-", "--eval-annotations", "--no-tips", "--violations"]
        vermin = str(self.tools.absolute() / "bin" / "vermin")
        return self._start([vermin, *options, *self._files()])

    def tests(self) -> Outcome:
        """tests"""
        tests = [path_upstream(file) for file in self.request.tests]
        options = ["-q", "--no-header", "-p", "no:cacheprovider"]
        return self._start([sys.executable, "-m", "pytest", *options, *tests])

    def _files(self) -> List[str]:
        return [path_upstream(file) for file in self.request.parts + self.request.tests]

    def _text(self, file: str) -> str:
        return (self.tree / file).read_text(encoding="utf-8")

    def _is_there(self, parts: List[str]) -> bool:
        """Whether the modules of a dotted name exist; what is in a module is for mypy and the tests."""
        place = self.tree / UPSTREAM
        for part in parts:
            if (place / f"{part}.py").is_file():
                return True
            place = place / part
            if not place.is_dir():
                return False
        return True

    def _run(self, tool: str, *arguments: str) -> Outcome:
        python = self.tools.absolute() / "bin" / "python"
        return self._start([str(python), "-m", tool, *arguments])

    def _start(self, command: List[str]) -> Outcome:
        done = subprocess.run(
            command,
            cwd=self.tree,
            env={
                **os.environ,
                "PYTHONPATH": str(self.tree),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Outcome(done.returncode == 0, done.stdout.strip())


def upstream_version() -> str:
    """Name and version of the distribution that TorchMultimodal was installed from."""
    for name in importlib.metadata.packages_distributions().get(UPSTREAM, []):
        return f"{name} {importlib.metadata.version(name)}"
    return UPSTREAM
