# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import errno
import os
import shutil
import subprocess

import pytest
import torch
from accelerate import Accelerator
from examples.common.engine import LoopConfig, Trainer
from examples.common.failures import explain_failures
from examples.common.run_checkpoints import find_checkpoint, Saved
from torch import nn
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.utils.errors import CheckpointError

ROWS = torch.zeros(4, dtype=torch.long)
BATCH = PersonBatch(torch.ones(4, 100), None, None, ROWS, ROWS, ROWS)


def train(directory, compute_losses, steps=20, model=None, **loop):
    model = nn.Linear(100, 100) if model is None else model
    groups = [{"params": list(model.parameters()), "base_lr": 0.1}]
    trainer = Trainer(
        directory,
        Accelerator(cpu=True),
        model,
        torch.optim.SGD(groups, lr=0.1),
        lambda step: 1.0,
        LoopConfig(steps, evaluate_every=0, **loop),
        seed=0,
        weights={"size": 1.0},
        saved=Saved({"model": {}}, {}),
    )
    trainer.fit([BATCH] * steps, compute_losses)


def size(model, batch, step):
    return {"size": model(batch.image).square().mean()}


class TestOutOfMemory:
    def test_says_what_was_there_and_what_helps(self, tmp_path):
        def huge(model, batch, step):
            return {
                "size": torch.empty(1 << 50).sum() + size(model, batch, step)["size"]
            }

        with pytest.raises(ValueError) as error:
            train(tmp_path, huge)
        assert str(error.value) == (
            "out of memory at step 0: a process has 4 samples a step, in precision no. Take a smaller batch, "
            "loop.accumulate=2 for the same one in smaller parts, precision=bf16, or smaller images by image.size; "
            f"then go on with --resume {tmp_path}"
        )

    def test_of_a_gpu(self, tmp_path):
        def huge(model, batch, step):
            raise torch.cuda.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 9 GiB"
            )

        expected = (
            r"^out of memory at step 0: a process has 2 parts of 2 a step.*accumulate=4"
        )
        with pytest.raises(ValueError, match=expected):
            train(tmp_path, huge, accumulate=2)

    @pytest.mark.parametrize("already", [False, True])
    def test_of_layers_that_can_compute_again(self, already, tmp_path):
        def huge(model, batch, step):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

        with pytest.raises(ValueError) as error:
            train(
                tmp_path,
                huge,
                model=nn.ModuleList([nn.Linear(100, 100)]),
                checkpoint_activations=already,
            )
        advice = "precision=bf16, loop.checkpoint_activations=true, or smaller images"
        assert (advice in str(error.value)) is not already

    def test_another_error_stays_what_it_is(self, tmp_path):
        with pytest.raises(RuntimeError, match="^a bug$"):
            with explain_failures(tmp_path, lambda: ""):
                raise RuntimeError("a bug")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only an administrator may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class TestFullDisk:
    @pytest.mark.parametrize("is_foreseen", [True, False])
    def test_older_checkpoint_stays_whole(self, is_foreseen, small_disk, monkeypatch):
        if not is_foreseen:
            # as if another program had taken the room in between: the system itself refuses to write
            honest, found = shutil.disk_usage, []

            def usage(path):
                found.append(honest(path))
                is_full = found[-1].free < 50000 and found[-2:-1] != found[-1:]
                return found[-1]._replace(free=10**9) if is_full else found[-1]

            monkeypatch.setattr(shutil, "disk_usage", usage)
        run = small_disk / "run"
        run.mkdir()
        expected = (
            r"step_\d+ needs [\d.]+ MiB, but its disk has [\d.]+ MiB free\. Nothing was replaced: free some space or "
            rf"write to another disk\. Then go on with --resume {run}$"
        )
        with pytest.raises(CheckpointError, match=expected):
            train(run, size, checkpoint_every=1, keep=50)
        names = sorted(path.name for path in (run / "checkpoints").iterdir())
        assert 3 <= len(names) < 20 and names[0] == "step_00000001"
        assert not any(name.startswith(".") for name in names)
        last = find_checkpoint(run, 20)
        assert last.metadata["step"] == len(names)

    def test_while_the_log_is_written(self, tmp_path):
        def full(model, batch, step):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        expected = (
            rf"^the disk of {tmp_path} is full \(No space left.*--resume {tmp_path}$"
        )
        with pytest.raises(CheckpointError, match=expected):
            train(tmp_path, full)
