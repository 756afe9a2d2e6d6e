# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("torchmultimodal_reid", "examples", "tests", "upstream")
FILES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
HEADER = """\
# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.
"""


def names(file: str, pattern: str) -> set:
    text = (ROOT / file).read_text(encoding="utf-8")
    found = re.findall(pattern, text, flags=re.MULTILINE)
    return {name.lower().replace("_", "-") for name in found}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_licence_header(file):
    assert file.read_text(encoding="utf-8").startswith(HEADER)


def test_every_package_has_an_init():
    folders = {file.parent for file in FILES if file.parts[len(ROOT.parts)] != "tests"}
    assert [
        folder for folder in folders if not (folder / "__init__.py").is_file()
    ] == []


def test_test_files_have_unique_names():
    tests = [file.name for file in FILES if file.name.startswith("test_")]
    assert sorted(tests) == sorted(set(tests))
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_each_dependency_is_pinned():
    required = names("setup.py", r'^ {8,12}"([A-Za-z0-9-]+)[>=.\d]*",$')
    assert {"torch", "tqdm", "tensorboard"} <= required
    assert required - {"torchtext"} <= names("constraints.txt", r"^([A-Za-z0-9_.-]+)==")


def pins(file: str) -> list:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-torchtext.txt"])
def test_constraints_name_no_host_and_no_path(file):
    pin = re.compile(r'[\w.-]+==[\w.]+( ; python_version (>=|<) "3\.\d+")?')
    assert [line for line in pins(file) if not pin.fullmatch(line)] == []


def test_the_second_environment_differs_by_what_torchtext_needs():
    today, second = pins("constraints.txt"), pins("constraints-torchtext.txt")
    other = {line.split("==")[0] for line in set(today) ^ set(second)}
    assert other == {
        "torch",
        "torchtext",
        "torchvision",
        "numpy",
        "ml_dtypes",
        "pyarrow",
    }
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    for package in ("torch", "torchvision", "torchtext"):
        (pin,) = (line for line in second if line.startswith(f"{package}=="))
        assert f'"{pin}"' in setup


def test_the_wheel_holds_the_library_its_types_and_nothing_else(tmp_path):
    pytest.importorskip("setuptools")
    for name in ("setup.py", "README.md", "LICENSE", "dev-requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)  # building writes beside setup.py
    library = tmp_path / "torchmultimodal_reid"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "torchmultimodal_reid", library, ignore=ignore)
    # an entry of the zoo, with its card
    entry = library / "weights" / "toy"
    entry.mkdir(parents=True)
    for name in ("model.safetensors", "README.md"):
        (entry / name).touch()
    for folder in ("examples", "tests", "upstream"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    command = [sys.executable, "setup.py", "--quiet", "bdist_wheel"]
    subprocess.run(command, cwd=tmp_path, check=True, stderr=subprocess.DEVNULL)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    packed = zipfile.ZipFile(wheel).namelist()
    held = {name for name in packed if ".dist-info/" not in name}
    assert "torchmultimodal_reid/py.typed" in held
    weights = {file.relative_to(tmp_path) for file in library.glob("weights/*/*")}
    assert {str(file) for file in weights} <= held and len(weights) >= 2
    code = {str(path.relative_to(tmp_path)) for path in library.rglob("*.py")}
    assert {name for name in held if name.endswith(".py")} == code
    assert {name.split("/")[0] for name in held} == {"torchmultimodal_reid"}
