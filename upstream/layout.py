# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Which files a part of ours takes along when it goes to TorchMultimodal, and what they read there."""

import ast
import re
from difflib import get_close_matches
from pathlib import Path
from typing import List, NamedTuple, Set

LIBRARY = "torchmultimodal_reid"
UPSTREAM = "torchmultimodal"
# what goes upstream at the same path
FOLDERS = ("modules", "transforms")
# torchtext's own transforms are upstream already, in another form
ASIDE = ("transforms/torchtext_caption.py",)
OUR_HOLDER = "# Copyright (c) torchmultimodal_reid contributors.\n"
THEIR_HOLDER = "# Copyright (c) Meta Platforms, Inc. and affiliates.\n"


class PullRequest(NamedTuple):
    parts: List[str]  # files of the library, from the repository's root
    tests: List[str]


def pull_request(root: Path, part: str) -> PullRequest:
    """A part with all that it needs: what it imports from here, its tests, and what these import from here.

    Args:
        root (Path): The repository.
        part (str): A file or a folder below the library, ``modules/masking/token_masking.py``, or ``all``.

    Returns:
        PullRequest: Paths from the root, sorted. A file's tests are ``test_FILE`` in the mirrored folder, or else all
        that import it.

    Raises:
        ValueError: If there is no such part, it is not of ``modules/`` or ``transforms/``, it has no test, or it or
            its test imports what does not go upstream.
    """
    everything = library_files(root)
    tests_of_all = tests_below(root)
    waiting = [*everything, *tests_of_all]
    if part != "all":
        waiting = named(part, everything)
    chosen: Set[str] = set()
    while waiting:
        file = waiting.pop()
        if file not in chosen:
            chosen.add(file)
            waiting += needs(root, file, everything)
            if file in everything:
                waiting += tests_of(root, file, tests_of_all)
    return PullRequest(
        sorted(chosen & set(everything)), sorted(chosen & set(tests_of_all))
    )


def library_files(root: Path) -> List[str]:
    """All files that may go upstream, packages' empty ``__init__.py`` aside."""
    files = (
        str(path.relative_to(root))
        for folder in FOLDERS
        for path in sorted((root / LIBRARY / folder).rglob("*.py"))
        if path.name != "__init__.py"
    )
    return [file for file in files if file[len(LIBRARY) + 1 :] not in ASIDE]


def tests_below(root: Path) -> List[str]:
    """All tests of what may go upstream."""
    aside = {f"test_{Path(file).name}" for file in ASIDE}
    return [
        str(path.relative_to(root))
        for folder in FOLDERS
        for path in sorted((root / "tests" / folder).rglob("test_*.py"))
        if path.name not in aside
    ]


def named(part: str, everything: List[str]) -> List[str]:
    """The files that a user means by ``part``."""
    path = part.rstrip("/")
    path = path if path.startswith(f"{LIBRARY}/") else f"{LIBRARY}/{path}"
    found = [file for file in everything if file == path or f"{path}/" in file]
    if not found:
        near = get_close_matches(path, everything, n=1)
        hint = f"; the nearest is {near[0][len(LIBRARY) + 1 :]}" if near else ""
        raise ValueError(
            f"PART must be a file or folder of modules/ or transforms/ that may go upstream, or all, got {part!r}{hint}"
        )
    return found


def needs(root: Path, file: str, everything: List[str]) -> List[str]:
    """Files of the library that ``file`` imports."""
    found = set()
    for module in imported_modules(root, file):
        path = module.replace(".", "/")
        if f"{path}.py" in everything:
            found.add(f"{path}.py")
        elif (root / f"{path}.py").is_file():
            raise ValueError(
                f"{file} imports {module}, which does not go upstream: take what modules/ and transforms/ have"
            )
    return sorted(found)


def imported_modules(root: Path, file: str) -> Set[str]:
    """Full names of the modules of this library, packages among them, that a file imports."""
    names: Set[str] = set()
    for node in ast.walk(ast.parse((root / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # what is imported from a package may be a module
            names.update(f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            names.update(name.name for name in node.names)
    return {module_of(root, name) for name in names if name.split(".")[0] == LIBRARY}


def module_of(root: Path, name: str) -> str:
    """The module that a dotted name is of or in."""
    while "." in name and not (root / f"{name.replace('.', '/')}.py").is_file():
        if (root / name.replace(".", "/")).is_dir():
            break
        name = name.rpartition(".")[0]
    return name


def tests_of(root: Path, file: str, tests: List[str]) -> List[str]:
    """The tests that go upstream with a file of the library."""
    inside = Path(file).relative_to(LIBRARY)
    own = str(Path("tests") / inside.parent / f"test_{inside.name}")
    if own in tests:
        return [own]
    module = file[: -len(".py")].replace("/", ".")
    found = [test for test in tests if module in imported_modules(root, test)]
    if not found:
        raise ValueError(
            f"{file} has no test below tests/{inside.parts[0]}/, and upstream asks for one: write {own}"
        )
    return found


def as_upstream(text: str) -> str:
    """The text of a file as it reads upstream: under its licence header, with its package's name."""
    if not text.startswith(OUR_HOLDER):
        raise ValueError(f"a file must begin with {OUR_HOLDER.strip()!r}")
    text = THEIR_HOLDER + text[len(OUR_HOLDER) :]
    return re.sub(rf"\b{LIBRARY}\b", UPSTREAM, text)


def path_upstream(file: str) -> str:
    """Where a file of ours goes there: to the same path."""
    return re.sub(rf"^{LIBRARY}/", f"{UPSTREAM}/", file)
