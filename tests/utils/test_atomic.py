# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import errno
import os
import shutil
from pathlib import Path

import pytest
from torchmultimodal_reid.utils import atomic
from torchmultimodal_reid.utils.atomic import (
    remove_directory,
    replace_directory,
    restore_directory,
    write_file_atomically,
)
from torchmultimodal_reid.utils.errors import CheckpointError


def names(directory: Path) -> list:
    return sorted(path.name for path in directory.iterdir())


def write(path: Path, text: str) -> None:
    with replace_directory(path, 1) as directory:
        (directory / "a").write_text(text)


class TestWriteFile:
    def test_replaces_text_and_bytes(self, tmp_path):
        write_file_atomically(tmp_path / "f", "é")
        assert (tmp_path / "f").read_bytes() == b"\xc3\xa9"
        write_file_atomically(tmp_path / "f", b"\x00\x01")
        assert (tmp_path / "f").read_bytes() == b"\x00\x01"
        assert names(tmp_path) == ["f"]

    def test_failure_keeps_the_old_file(self, tmp_path, monkeypatch):
        write_file_atomically(tmp_path / "f", "old")

        def fail(descriptor):
            raise OSError(errno.EIO, "input/output error")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="input/output error"):
            write_file_atomically(tmp_path / "f", "new")
        assert (tmp_path / "f").read_text() == "old"
        assert names(tmp_path) == ["f"]


class TestReplaceDirectory:
    def test_creates_parents_and_leaves_nothing_else(self, tmp_path):
        write(tmp_path / "runs" / "x", "1")
        assert names(tmp_path / "runs") == ["x"]

    def test_replaces_and_drops_files_of_the_old(self, tmp_path):
        with replace_directory(tmp_path / "x", 1) as directory:
            (directory / "old").write_text("old")
        write(tmp_path / "x", "new")
        assert names(tmp_path) == ["x"]
        assert names(tmp_path / "x") == ["a"]

    def test_failure_while_filling_keeps_the_old(self, tmp_path):
        write(tmp_path / "x", "old")
        with pytest.raises(RuntimeError, match="no more"):
            with replace_directory(tmp_path / "x", 1) as directory:
                (directory / "a").write_text("new")
                raise RuntimeError("no more")
        assert (tmp_path / "x" / "a").read_text() == "old"
        assert names(tmp_path) == ["x"]

    @pytest.mark.parametrize("failing_rename", [0, 1])
    def test_failure_of_either_rename_keeps_the_old(
        self, tmp_path, monkeypatch, failing_rename
    ):
        write(tmp_path / "x", "old")
        rename, calls = os.rename, []

        def fail_once(source, target):
            calls.append(target)
            if len(calls) == failing_rename + 1:
                raise OSError(errno.EIO, "input/output error")
            rename(source, target)

        monkeypatch.setattr(os, "rename", fail_once)
        with pytest.raises(OSError, match="input/output error"):
            write(tmp_path / "x", "new")
        assert (tmp_path / "x" / "a").read_text() == "old"
        assert names(tmp_path) == ["x"]

    def test_death_between_the_renames_is_mended(self, tmp_path):
        write(tmp_path / "x", "old")
        os.rename(tmp_path / "x", tmp_path / ".x.old")  # where the process died
        restore_directory(tmp_path / "x")
        assert (tmp_path / "x" / "a").read_text() == "old"

    def test_what_a_killed_process_left_is_not_taken_over(self, tmp_path):
        (tmp_path / ".x.writing").mkdir()
        (tmp_path / ".x.writing" / "half").write_text("?")
        write(tmp_path / "x", "new")
        assert names(tmp_path / "x") == ["a"]

    def test_too_large_for_the_disk(self, tmp_path):
        write(tmp_path / "x", "old")
        too_much = shutil.disk_usage(tmp_path).total + 1
        expected = rf"x needs {too_much / 2**20:.1f} MiB, but its disk has [\d.]+ MiB free.*Nothing was replaced"
        with pytest.raises(CheckpointError, match=expected):
            with replace_directory(tmp_path / "x", too_much):
                raise AssertionError("must not begin")
        assert (tmp_path / "x" / "a").read_text() == "old"

    @pytest.mark.parametrize(
        "error",
        [
            OSError(errno.ENOSPC, "No space left on device"),
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            Exception("I/O error: No space left on device (os error 28)"),
        ],
    )
    def test_disk_that_fills_while_writing(self, tmp_path, error):
        write(tmp_path / "x", "old")
        with pytest.raises(CheckpointError, match="free some space"):
            with replace_directory(tmp_path / "x", 1):
                raise error
        assert (tmp_path / "x" / "a").read_text() == "old"
        assert names(tmp_path) == ["x"]

    def test_syncs_each_file_before_the_rename_and_the_parent_after(
        self, tmp_path, monkeypatch
    ):
        events = []
        rename = os.rename
        monkeypatch.setattr(atomic, "fsync_path", lambda path: events.append(path.name))
        monkeypatch.setattr(
            os, "rename", lambda a, b: (events.append("rename"), rename(a, b))
        )
        write(tmp_path / "x", "new")
        assert events == ["a", ".x.writing", "rename", tmp_path.name]


def test_remove_directory_first_takes_the_name_away(tmp_path, monkeypatch):
    write(tmp_path / "x", "old")
    removed = []
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: removed.append(path.name))
    remove_directory(tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert removed[-1] == ".x.deleting"
