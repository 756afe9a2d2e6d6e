# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import logging
import os

import pytest
import torch
from torchmultimodal_reid.utils.checkpoint import write_checkpoint
from torchmultimodal_reid.utils.errors import CheckpointError
from torchmultimodal_reid.utils.step_checkpoints import (
    latest_checkpoint,
    prune_checkpoints,
    step_checkpoints,
    step_name,
)


@pytest.fixture
def folder(tmp_path):
    for step in (200, 1000, 30):
        tensors = {"model": {"x": torch.tensor(float(step))}}
        write_checkpoint(tmp_path / step_name(step), tensors, {"step": step})
    write_checkpoint(tmp_path / "best", {}, {"step": 5000})
    return tmp_path


def damage(path):
    (path / "model.safetensors").write_bytes(b"")


def test_step_name_sorts_as_the_number():
    assert step_name(1000) == "step_00001000"
    assert step_name(123456789) == "step_123456789"
    with pytest.raises(ValueError, match="step must be >= 0, got -1"):
        step_name(-1)


class TestLatest:
    def test_highest_step_not_the_last_written(self, folder):
        assert latest_checkpoint(folder).metadata == {"step": 1000}

    def test_none_where_there_never_was_one(self, tmp_path):
        assert latest_checkpoint(tmp_path) is None
        assert latest_checkpoint(tmp_path / "missing") is None

    def test_broken_one_is_set_aside_with_a_warning(self, folder, caplog):
        damage(folder / "step_00001000")
        with caplog.at_level(logging.WARNING):
            assert latest_checkpoint(folder).metadata == {"step": 200}
        assert (folder / "step_00001000.broken").is_dir()
        assert not (folder / "step_00001000").exists()
        assert "step_00001000.broken" in caplog.text
        assert "has 0 bytes, expected" in caplog.text

    def test_set_aside_twice(self, folder):
        for _ in range(2):
            write_checkpoint(folder / "step_00001000", {"model": {}}, {})
            damage(folder / "step_00001000")
            assert latest_checkpoint(folder).metadata == {"step": 200}
        names = {path.name for path in folder.iterdir()}
        assert {"step_00001000.broken", "step_00001000.broken.2"} <= names

    def test_one_altered_byte_is_enough(self, folder):
        file = folder / "step_00001000" / "model.safetensors"
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        assert latest_checkpoint(folder).metadata == {"step": 200}
        # and stays there, to be looked at
        assert (folder / "step_00001000.broken" / file.name).read_bytes() == data

    def test_all_broken_is_an_error_and_not_a_fresh_start(self, folder):
        for step in (30, 200, 1000):
            damage(folder / step_name(step))
        expected = "each of the 3 checkpoints in .* is broken.*step_00000030"
        with pytest.raises(CheckpointError, match=expected):
            latest_checkpoint(folder)

    def test_replacement_cut_between_its_renames(self, folder):
        os.rename(folder / "step_00001000", folder / ".step_00001000.old")
        assert latest_checkpoint(folder).metadata == {"step": 1000}


class TestPrune:
    def test_keeps_the_newest_and_what_is_not_a_step(self, folder):
        removed = prune_checkpoints(folder, keep=2)
        assert removed == [folder / "step_00000030"]
        assert [step for step, _ in step_checkpoints(folder)] == [200, 1000]
        assert (folder / "best").is_dir()

    def test_fewer_than_are_kept(self, folder):
        assert prune_checkpoints(folder, keep=9) == []
        assert len(step_checkpoints(folder)) == 3

    def test_clears_what_a_killed_process_left(self, folder):
        (folder / ".step_00002000.writing").mkdir()
        (folder / ".step_00000001.deleting").mkdir()
        prune_checkpoints(folder, keep=3)
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]

    def test_keep_nothing_is_refused(self, folder):
        with pytest.raises(ValueError, match="keep must be >= 1, got 0"):
            prune_checkpoints(folder, keep=0)
        assert len(step_checkpoints(folder)) == 3
