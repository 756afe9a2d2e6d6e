# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""VTBR's pretraining out of tar shards."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from examples.common.main import run_main
from examples.vtbr import finetune, pretrain
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.shards.writer import write_shards
from torchmultimodal_reid.generation.image_captioner import ImageCaptioner
from torchmultimodal_reid.models.saved_vtbr import load_captioner

pytest.importorskip("webdataset")

CONFIG = Path(pretrain.__file__).with_name("configs") / "debug_pretrain.yaml"
# three steps, which a run is resumed after, end in the midst of the second epoch
KEYS = (
    "data.validation_share=0 batch_size=8 loop.steps=4 loop.checkpoint_every=3 "
    "model.backbone=mobilenet_v3_small"
)


@pytest.fixture(autouse=True)
def tidy(tmp_path):
    """Deletes the checkpoints of a test."""
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)


def run_here(main, *arguments):
    """Runs a recipe in this process, on the CPU, and returns its exit status."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ACCELERATE_USE_CPU", "true")
            run_main(lambda: main(list(arguments)))
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        torch.use_deterministic_algorithms(False)
    return 0


def start(shards, output, *more):
    keys = [*KEYS.split(), f"data.shards={shards}", f"output={output}", *more]
    return run_here(pretrain.main, "--config", str(CONFIG), *keys)


@pytest.fixture
def shards(build_market, tmp_path):
    """The 20 training images in shards of 6."""
    out = str(tmp_path / "shards")
    write_shards(market1501(build_market(train=5)), out, shard_size=6)
    return out


def end(run):
    """The bytes of the last checkpoint, and the losses."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    files = [
        (run / "checkpoints" / "step_00000004" / name).read_bytes()
        for name in ("model.safetensors", "optimizer.safetensors", "tokenizer.json")
    ]
    return files, [line["train/loss"] for line in lines if "train/loss" in line]


def test_workers_and_breaks_change_nothing(shards, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert start(shards, one) == 0
    assert (one / "captions.png").exists()
    captioner = load_captioner(one / "checkpoints" / "step_00000004")
    assert isinstance(captioner, ImageCaptioner)
    assert start(shards, two, "data.workers=2") == 0
    assert end(two) == end(one)
    shutil.rmtree(two / "checkpoints" / "step_00000004")
    assert run_here(pretrain.main, "--resume", str(two)) == 0
    assert end(two) == end(one)


def test_an_epoch_is_the_images_of_the_shards(shards, tmp_path):
    more = ["epochs.run=0.5", "batch_size=10", "schedule.warmup_steps=0"]
    assert start(shards, tmp_path / "run", *more) == 0
    assert (tmp_path / "run" / "checkpoints" / "step_00000001").exists()


def test_shards_without_captions(build_market, tmp_path, capsys):
    bare = market1501(build_market(captions=False))
    write_shards(bare, str(tmp_path / "bare"))
    assert start(tmp_path / "bare", tmp_path / "run") == 2
    assert "write the shards again with --captioned" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_finetuning_needs_a_folder(shards, tmp_path, capsys):
    keys = [f"data.shards={shards}", f"output={tmp_path / 'run'}"]
    assert run_here(finetune.main, *keys) == 2
    told = capsys.readouterr().err
    assert "shards are for pretraining alone" in told and "give data.root" in told
