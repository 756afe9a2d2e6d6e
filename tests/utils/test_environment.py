# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import torchmultimodal_reid
from torchmultimodal_reid.utils.environment import environment_stamp


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
    command = ["git", *identity, *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository whose tracked source is taken for the package's."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(tmp_path, "init", "-q")
    source = tmp_path / "source.py"
    source.write_text("a = 1\n")
    git(tmp_path, "add", "source.py")
    git(tmp_path, "commit", "-qm", "first")
    monkeypatch.setattr(torchmultimodal_reid, "__file__", str(source))
    return tmp_path


def test_versions_and_devices_as_json():
    stamp = json.loads(json.dumps(environment_stamp()))
    assert stamp["versions"]["torch"] == torch.__version__.split("+")[0] or (
        torch.__version__.startswith(stamp["versions"]["torch"])
    )
    assert "torchmultimodal-nightly" in stamp["versions"]
    assert stamp["threads"] == torch.get_num_threads()
    assert len(stamp["devices"]) >= 1
    assert f"{os.cpu_count()} cores" in stamp["processor"]


def test_commit_and_dirty(checkout):
    stamp = environment_stamp()
    assert stamp["commit"] == git(checkout, "rev-parse", "HEAD")
    assert stamp["dirty"] is False
    (checkout / "note").write_text("an untracked file is no change of the source")
    assert environment_stamp()["dirty"] is False
    (checkout / "source.py").write_text("a = 2\n")
    assert environment_stamp()["dirty"] is True


def test_installed_inside_anothers_checkout(checkout, monkeypatch):
    installed = checkout / "environment" / "installed.py"
    installed.parent.mkdir()
    installed.write_text("")
    monkeypatch.setattr(torchmultimodal_reid, "__file__", str(installed))
    stamp = environment_stamp()
    assert stamp["commit"] is None and stamp["dirty"] is None


def test_no_git(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    assert environment_stamp()["commit"] is None
