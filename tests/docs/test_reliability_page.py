# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Each test that docs/reliability.md names is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)((?:::\w+)*)`", PAGE)))


def names_in(body, prefix=""):
    """Functions and classes, and what is in these, as pytest writes them."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield f"{prefix}::{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from names_in(node.body, f"{prefix}::{node.name}")


@pytest.mark.parametrize("file, name", NAMED, ids=map("".join, NAMED))
def test_is_there(file, name):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in ("", *names_in(tree.body))


def test_each_row_names_one():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| what happens")]
    assert len(rows) > 10
    for row in rows:
        assert "`tests/" in row, row
