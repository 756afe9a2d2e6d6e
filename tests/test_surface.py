# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What ``from torchmultimodal_reid import ...`` offers, and what importing it costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torchmultimodal_reid

SOURCE = Path(torchmultimodal_reid.__file__)
FRESH = """
import sys, torchmultimodal_reid
loaded = sorted({name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names))
print([name for name in ("torch", "torchvision", "numpy", "PIL", "tokenizers", "matplotlib") if name in loaded])
assert "mmet_tiny" in dir(torchmultimodal_reid) and "torch" not in sys.modules
print([name for name in sys.modules if name.startswith("torchmultimodal_reid")])
"""


def for_type_checkers():
    """Module and name of each import under TYPE_CHECKING."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    blocks = [
        node.body
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    assert len(blocks) == 1
    return {
        (node.module, alias.name)
        for node in blocks[0]
        for alias in node.names
        if alias.asname is None
    }


def test_the_import_loads_nothing_else():
    done = subprocess.run(
        [sys.executable, "-c", FRESH], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "['torchmultimodal_reid']"]


def test_the_lists_are_the_same():
    public = torchmultimodal_reid.__all__
    assert public == sorted(set(public))
    lazy = {
        (f"torchmultimodal_reid.{module}", name)
        for name, module in torchmultimodal_reid._MODULE_OF.items()
    }
    assert lazy == for_type_checkers()
    assert {name for _, name in lazy} == set(public)


@pytest.mark.parametrize("name", torchmultimodal_reid.__all__)
def test_each_name(name):
    value = getattr(torchmultimodal_reid, name)
    module = f"torchmultimodal_reid.{torchmultimodal_reid._MODULE_OF[name]}"
    assert (value.__module__, value.__name__) == (module, name)
    assert value.__doc__ and f"``{name}``" in torchmultimodal_reid.__doc__
    assert name in dir(torchmultimodal_reid)
    # a module of the same name would hide it as soon as it is imported
    assert not list(SOURCE.parent.glob(f"{name}.py"))
    assert not list(SOURCE.parent.glob(f"{name}/__init__.py"))


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="'mmet_tinny'; the nearest .* 'mmet_tiny"):
        torchmultimodal_reid.mmet_tinny
    with pytest.raises(AttributeError, match="has no attribute 'xyz'$"):
        torchmultimodal_reid.xyz
    assert not hasattr(torchmultimodal_reid, "__wrapped__")
    with pytest.raises(ImportError, match="cannot import name 'mmet_tinny'"):
        from torchmultimodal_reid import mmet_tinny  # noqa: F401


def test_the_distribution_has_the_version():
    setup = (SOURCE.parents[1] / "setup.py").read_text(encoding="utf-8")
    pattern = re.search(r"re\.search\(r'(.+)', text", setup)
    found = re.search(
        pattern[1], SOURCE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert found and found[1] == torchmultimodal_reid.__version__
