# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Imports flow one way: modules -> architectures -> models, and nothing in the library knows the examples."""

import ast
from pathlib import Path
from typing import List, Set

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = "torchmultimodal_reid"
PACKAGES = {path.parent.name for path in (ROOT / LIBRARY).glob("*/__init__.py")}
# what stands beside the library in the repository
OUTSIDE = {"benchmarks", "docs", "examples", "hubconf", "tests", "upstream"}

# what a package of the library may not import, from anywhere in its files, functions included
FORBIDDEN = {
    # both may go upstream, where there is nothing else of ours
    "modules": PACKAGES - {"modules"},
    "transforms": PACKAGES - {"transforms"},
    "architectures": {"generation", "models"},
    "generation": {"models"},
    "models": set(),
    "export": set(),
    "data": {"architectures", "models"},
    "evaluation": {"architectures", "models"},
    "search": {"architectures", "models"},
    "utils": {"architectures", "models"},
}


def imported(source: str, module: str, is_package: bool = False) -> Set[str]:
    """Full names of the modules and of the names in them that ``source``, the text of ``module``, imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parents = parts[: len(parts) - node.level + is_package]
                base = ".".join(parents + ([node.module] if node.module else []))
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def violations(source: str, module: str, is_package: bool = False) -> List[str]:
    """Imports in ``source`` that the layers forbid."""
    package = (module.split(".") + [""])[1]
    banned = {f"{LIBRARY}.{name}" for name in FORBIDDEN.get(package, set())}
    banned |= OUTSIDE
    return sorted(
        name
        for name in imported(source, module, is_package)
        if any(f"{name}.".startswith(f"{prefix}.") for prefix in banned)
    )


FILES = sorted((ROOT / LIBRARY).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_flow_one_way(path):
    source = path.read_text(encoding="utf-8")
    assert not violations(source, module_name(path), path.name == "__init__.py")


def test_every_package_has_its_rule():
    assert PACKAGES == set(FORBIDDEN)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in FILES
        if path.parts[len(ROOT.parts) + 1] in ("modules", "transforms")
    ],
    ids=module_name,
)
def test_what_may_go_upstream_keeps_to_python_38(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize(
    "source, module",
    [
        ("import torchmultimodal_reid.models.mmet", "torchmultimodal_reid.modules.a"),
        (
            "import torchmultimodal_reid.models as m",
            "torchmultimodal_reid.evaluation.a",
        ),
        ("from torchmultimodal_reid import models", "torchmultimodal_reid.data.a"),
        (
            "from torchmultimodal_reid.architectures.mmet import MMET",
            "torchmultimodal_reid.modules.a.b",
        ),
        ("from ...architectures import mmet", "torchmultimodal_reid.modules.a.b"),
        ("from ..models.mmet import mmet", "torchmultimodal_reid.architectures.a"),
        (
            "def f():\n    from torchmultimodal_reid.models import mmet",
            "torchmultimodal_reid.utils.a",
        ),
        ("import examples.mmet.pretrain", "torchmultimodal_reid.models.a"),
        ("from examples import common", "torchmultimodal_reid"),
        ("import benchmarks.ranking", "torchmultimodal_reid.evaluation.a"),
        (
            "from torchmultimodal_reid.utils import seeding",
            "torchmultimodal_reid.modules.a",
        ),
        (
            "from torchmultimodal_reid.modules import layers",
            "torchmultimodal_reid.transforms.a",
        ),
    ],
)
def test_the_walk_finds_violations(source, module):
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    "source, module",
    [
        (
            "from torchmultimodal_reid.modules.a import b",
            "torchmultimodal_reid.architectures.a",
        ),
        (
            "from torchmultimodal_reid.architectures import a",
            "torchmultimodal_reid.models.a",
        ),
        # TorchMultimodal's own models are no part of this library
        (
            "from torchmultimodal.models.vqvae import VQVAE",
            "torchmultimodal_reid.modules.a",
        ),
        ("import torchmultimodal_reid.models_list", "torchmultimodal_reid.modules.a"),
        ("from . import models", "torchmultimodal_reid.modules.a"),
    ],
)
def test_the_walk_allows_the_rest(source, module):
    assert not violations(source, module)


def test_relative_imports_of_a_package():
    assert violations(
        "from ..models import mmet", "torchmultimodal_reid.architectures", True
    )
    assert not violations(
        "from .models import mmet", "torchmultimodal_reid.architectures", True
    )
