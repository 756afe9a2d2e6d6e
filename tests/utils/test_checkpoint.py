# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import math
import subprocess
import sys
import textwrap

import pytest
import torch
from torchmultimodal_reid.utils.checkpoint import (
    MANIFEST,
    read_checkpoint,
    write_checkpoint,
)
from torchmultimodal_reid.utils.errors import CheckpointError


@pytest.fixture
def checkpoint(tmp_path):
    tensors = {
        "model": {"weight": torch.arange(6.0).reshape(2, 3)},
        "optimizer": {"step": torch.tensor(3)},
    }
    files = {"vocab.txt": "[PAD]\n", "raw.bin": b"\x00\xff"}
    return write_checkpoint(tmp_path / "c", tensors, {"step": 3}, files)


class TestRoundTrip:
    def test_tensors_metadata_and_files(self, checkpoint):
        read = read_checkpoint(checkpoint)
        assert read.path == checkpoint
        assert read.metadata == {"step": 3}
        assert sorted(read.tensors) == ["model", "optimizer"]
        torch.testing.assert_close(
            read.tensors["model"]["weight"], torch.arange(6.0).reshape(2, 3)
        )
        assert read.tensors["optimizer"]["step"].item() == 3
        assert (checkpoint / "vocab.txt").read_text() == "[PAD]\n"
        assert (checkpoint / "raw.bin").read_bytes() == b"\x00\xff"

    @pytest.mark.parametrize(
        "dtype",
        [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8],
    )
    def test_each_dtype_keeps_its_bits(self, tmp_path, dtype):
        value = torch.tensor([1 / 3, 7.0, 255.0]).to(dtype)
        write_checkpoint(tmp_path / "c", {"g": {"x": value}}, {})
        read = read_checkpoint(tmp_path / "c").tensors["g"]["x"]
        assert read.dtype == dtype and torch.equal(read, value)

    def test_bool_empty_and_scalar_tensors_and_an_empty_group(self, tmp_path):
        group = {
            "mask": torch.tensor([True, False]),
            "none": torch.zeros(0, 3),
            "one": torch.tensor(2.5),
        }
        write_checkpoint(tmp_path / "c", {"g": group, "nothing": {}}, {})
        read = read_checkpoint(tmp_path / "c").tensors
        assert read["nothing"] == {}
        assert all(torch.equal(read["g"][name], value) for name, value in group.items())

    def test_tied_transposed_and_sliced_tensors(self, tmp_path):
        base = torch.arange(12.0).reshape(3, 4)
        group = {"a": base, "tied": base, "transposed": base.t(), "part": base[1:, 2]}
        group["trained"] = torch.nn.Parameter(base)
        write_checkpoint(tmp_path / "c", {"g": group}, {})
        read = read_checkpoint(tmp_path / "c").tensors["g"]
        assert all(torch.equal(read[name], value) for name, value in group.items())
        # what was tied in memory is independent in the file
        read["a"].zero_()
        assert torch.equal(read["tied"], base)

    def test_numbers_in_metadata_are_exact(self, tmp_path):
        metadata = {"third": 1 / 3, "big": 2**63 - 1, "nan": float("nan"), "é": None}
        write_checkpoint(tmp_path / "c", {}, metadata)
        read = read_checkpoint(tmp_path / "c").metadata
        assert math.isnan(read.pop("nan"))
        assert read == {"third": 1 / 3, "big": 2**63 - 1, "é": None}

    def test_replaces_an_older_one_whole(self, checkpoint):
        write_checkpoint(checkpoint, {"model": {"other": torch.ones(1)}}, {"step": 4})
        read = read_checkpoint(checkpoint)
        assert list(read.tensors) == ["model"] and list(read.tensors["model"]) == [
            "other"
        ]
        assert sorted(path.name for path in checkpoint.iterdir()) == [
            MANIFEST,
            "model.safetensors",
        ]

    def test_reads_only_the_groups_asked_for(self, checkpoint):
        (checkpoint / "optimizer.safetensors").unlink()
        assert list(read_checkpoint(checkpoint, ["model"]).tensors) == ["model"]
        with pytest.raises(CheckpointError, match="optimizer.safetensors is missing"):
            read_checkpoint(checkpoint)
        with pytest.raises(
            CheckpointError,
            match=r"no tensors \['ema'\], it has \['model', 'optimizer'\]",
        ):
            read_checkpoint(checkpoint, ["ema"])


class TestDamage:
    def test_no_checkpoint(self, tmp_path):
        with pytest.raises(CheckpointError, match="x is no checkpoint.*no such folder"):
            read_checkpoint(tmp_path / "x")
        with pytest.raises(CheckpointError, match="the folder has none"):
            read_checkpoint(tmp_path)

    @pytest.mark.parametrize(
        "name", ["model.safetensors", "optimizer.safetensors", "vocab.txt"]
    )
    def test_file_cut_short(self, checkpoint, name):
        file = checkpoint / name
        size = file.stat().st_size
        file.write_bytes(file.read_bytes()[:-1])
        expected = f"{name} has {size - 1} bytes, expected {size}. Use another"
        with pytest.raises(CheckpointError, match=expected):
            read_checkpoint(checkpoint)

    def test_one_bit_altered(self, checkpoint):
        file = checkpoint / "model.safetensors"
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        with pytest.raises(
            CheckpointError, match=f"the expected {len(data)} bytes, but.*altered"
        ):
            read_checkpoint(checkpoint)

    def test_manifest_cut_at_any_place(self, checkpoint):
        manifest = checkpoint / MANIFEST
        text = manifest.read_bytes()
        for length in range(0, len(text), 7):
            manifest.write_bytes(text[:length])
            with pytest.raises(CheckpointError, match="cut short or altered"):
                read_checkpoint(checkpoint)

    def test_manifest_edited(self, checkpoint):
        manifest = checkpoint / MANIFEST
        text = manifest.read_text()
        manifest.write_text(text.replace('"step": 3', '"step": 4'))
        with pytest.raises(CheckpointError, match="was altered after it was written"):
            read_checkpoint(checkpoint)

    @pytest.mark.parametrize("text", ["[]", "3", '{"sha256": 1}'])
    def test_manifest_of_another_kind(self, checkpoint, text):
        (checkpoint / MANIFEST).write_text(text)
        with pytest.raises(CheckpointError, match="altered"):
            read_checkpoint(checkpoint)


class TestRefusals:
    @pytest.mark.parametrize("name", ["", "..", "a/b", MANIFEST])
    def test_names_that_leave_the_folder(self, tmp_path, name):
        with pytest.raises(ValueError, match=f"plain name, got {name!r}"):
            write_checkpoint(tmp_path / "c", {}, {}, {name: "x"})
        assert not (tmp_path / "c").exists()

    def test_metadata_that_is_not_json(self, checkpoint):
        with pytest.raises(ValueError, match="what JSON can hold.*Tensor"):
            write_checkpoint(checkpoint, {}, {"x": torch.ones(1)})
        assert read_checkpoint(checkpoint).metadata == {"step": 3}


def test_killed_while_writing_the_old_one_stays_whole(tmp_path):
    """The process is ended by the kernel in the middle of a second write to the same place."""
    script = textwrap.dedent("""
        import os, signal, sys, torch
        from torchmultimodal_reid.utils import checkpoint
        write = lambda x: checkpoint.write_checkpoint(sys.argv[1], {"m": {"x": torch.full((9,), x)}}, {"x": x})
        write(1.0)
        fingerprint = checkpoint._fingerprint
        checkpoint._fingerprint = lambda file: os.kill(os.getpid(), signal.SIGKILL)
        write(2.0)
        """)
    result = subprocess.run([sys.executable, "-c", script, str(tmp_path / "c")])
    assert result.returncode == -9
    read = read_checkpoint(tmp_path / "c")
    assert read.metadata == {"x": 1.0} and read.tensors["m"]["x"].eq(1).all()


def test_manifest_is_json_a_person_can_read(checkpoint):
    manifest = json.loads((checkpoint / MANIFEST).read_text())
    assert manifest["metadata"] == {"step": 3}
    assert manifest["files"]["vocab.txt"]["size"] == 6
