# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The baseline's fine-tuning and evaluation, whole, on pedestrians of 32 x 16 pixels."""

import json
import re
import shutil
from pathlib import Path
from typing import List, NamedTuple

import pytest
import torch
from examples.common.config import load_config
from examples.common.data import take_identities
from examples.common.epochs import EpochConfig, in_steps
from examples.common.main import run_main
from examples.common.optim import build_schedule
from examples.vtbr import evaluate, finetune
from examples.vtbr.finetune_definitions import FinetuneConfig
from PIL import Image
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.data.synthetic.__main__ import main as render
from torchmultimodal_reid.models.backbones import build_backbone
from torchmultimodal_reid.models.saved_reid import load_reid
from torchmultimodal_reid.utils.checkpoint import read_checkpoint, write_checkpoint

CONFIGS = Path(__file__).parents[3] / "examples" / "vtbr" / "configs"
BACKBONE = "mobilenet_v3_small"


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


def run_here(main, arguments: List[str]) -> int:
    """Runs a recipe in this process, on the CPU, and returns its exit status."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ACCELERATE_USE_CPU", "true")
            run_main(lambda: main(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        torch.use_deterministic_algorithms(False)
    return 0


def debug(root: Path, output: Path, *more: str) -> List[str]:
    config = ["--config", str(CONFIGS / "debug_finetune.yaml")]
    return [*config, f"data.root={root}", f"output={output}", *more]


@pytest.fixture
def run(capsys):
    def run(main, arguments):
        capsys.readouterr()
        return Outcome(run_here(main, arguments), *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def pedestrians(tmp_path_factory):
    """Fourteen rendered pedestrians, four of them for testing. Do not change them."""
    root = tmp_path_factory.mktemp("pedestrians") / "data"
    size = "--identities 14 --test-identities 4 --cameras 2 --images-per-camera 2 --image-size 32 16"
    assert render(["--out", str(root), *size.split(), "--workers", "1", "--quiet"]) == 0
    return root


@pytest.fixture(scope="module")
def finished(pedestrians, tmp_path_factory):
    """A run that was never stopped. Do not change it."""
    output = tmp_path_factory.mktemp("finished") / "run"
    assert run_here(finetune.main, debug(pedestrians, output)) == 0
    return output


def logged(directory, key="train/loss"):
    records = map(json.loads, (directory / "metrics.jsonl").open())
    return {record["step"]: record[key] for record in records if key in record}


class TestFinetune:
    def test_leaves_a_model_to_search_with(self, finished):
        model, description = load_reid(finished / "best")
        # ten for training, of which a quarter is for validation
        assert description.num_identities == 8 and description.image_size == (32, 16)
        assert model.embed(torch.zeros(1, 3, 32, 16)).shape == (1, 576)

    def test_logs_each_loss(self, finished):
        for name in ("loss", "identity", "triplet", "center"):
            assert list(logged(finished, f"train/{name}")) == [1, 2, 3, 4, 5, 6]
        assert list(logged(finished, "validation/selection")) == [3, 6]

    def test_resumed_run_ends_as_if_it_never_stopped(self, finished, run, tmp_path):
        copy = shutil.copytree(finished, tmp_path / "run")
        # as after a crash between steps 4 and 6
        shutil.rmtree(copy / "checkpoints" / "step_00000006")
        outcome = run(finetune.main, ["--resume", str(copy)])
        assert outcome.status == 0, outcome.err
        assert "mobilenet_v3_small from a checkpoint of this run" in outcome.out
        for name in ("model.safetensors", "optimizer.safetensors"):
            path = Path("checkpoints") / "step_00000006" / name
            assert (copy / path).read_bytes() == (finished / path).read_bytes(), name
        assert logged(copy) == logged(finished)
        saved = read_checkpoint(copy / "checkpoints" / "step_00000006", ["model"])
        assert saved.tensors["model"]["center_loss.centers"].any()

    def test_starts_from_vtbr(self, pedestrians, run, tmp_path):
        torch.manual_seed(0)
        visual = build_backbone(BACKBONE).state_dict()
        tensors = {f"visual.{key}": value for key, value in visual.items()}
        tensors["output.bias"] = torch.zeros(3)
        path = write_checkpoint(tmp_path / "captioner", {"model": tensors}, {})
        more = "optimizer.lr=0 optimizer.weight_decay=0 loop.steps=1 schedule.warmup_steps=0 data.validation_share=0"
        arguments = debug(pedestrians, tmp_path / "run", *more.split())
        outcome = run(finetune.main, [*arguments, f"model.weights=vtbr:{path}"])
        assert outcome.status == 0, outcome.err
        said = (
            rf"from vtbr:.* \({len(visual)} tensors loaded, 1 ignored \(output.bias\)"
        )
        assert re.search(said, outcome.out)
        saved = read_checkpoint(tmp_path / "run" / "checkpoints" / "step_00000001")
        name = "features.0.0.weight"
        assert saved.tensors["model"][f"backbone.{name}"].equal(visual[name])
        # nothing was evaluated: the last step is the result
        assert not (tmp_path / "run" / "best").exists()

    def test_share_of_the_identities_and_epochs(self, pedestrians, run, tmp_path):
        more = "data.identity_share=0.5 epochs.run=2 epochs.warmup=0.5 loop.evaluate_every=0 losses.center=0"
        arguments = debug(pedestrians, tmp_path / "run", *more.split())
        outcome = run(finetune.main, arguments)
        assert outcome.status == 0, outcome.err
        # eight identities are left for training; half of them have 16 images, and a batch has 8
        assert "4 identities, 16 images, 4 steps" in outcome.out
        assert list(logged(tmp_path / "run")) == [1, 2, 3, 4]
        assert not logged(tmp_path / "run", "train/center")


class TestEvaluate:
    def test_table_json_and_figures(self, finished, pedestrians, run, tmp_path):
        output = tmp_path / "target"
        arguments = [f"checkpoint={finished / 'best'}", f"data.root={pedestrians}"]
        more = [f"output={output}", "data.name=toy", "data.workers=0"]
        outcome = run(evaluate.main, [*arguments, *more])
        assert outcome.status == 0, outcome.err
        assert "image query" in outcome.out and "text query" not in outcome.out
        report = json.loads((output / "results.json").read_text())
        assert report["dataset"] == "toy"
        rows = {row["name"]: row["metrics"] for row in report["results"]}
        assert list(rows) == ["image query", "chance"]
        assert rows["image query"]["num_valid_queries"] == 8
        for name in ("ranked_lists.png", "cmc.png"):
            with Image.open(output / name) as picture:
                assert min(picture.size) > 100

    def test_checkpoint_of_another_recipe(self, pedestrians, run, tmp_path):
        model = {"builder": "mmet_tiny", "arguments": {}}
        path = write_checkpoint(tmp_path / "a", {"model": {}}, {"model": model})
        arguments = [f"checkpoint={path}", f"data.root={pedestrians}"]
        outcome = run(evaluate.main, [*arguments, f"output={tmp_path / 'e'}"])
        assert outcome.status == 2 and not (tmp_path / "e").exists()
        assert "describes no re-identification baseline" in outcome.err


@pytest.mark.parametrize(
    "argument, expected",
    [
        (
            "model.backbone=resnet_50",
            "backbone must be one of .* Did you mean resnet50",
        ),
        ("model.weights=imagnet", "weights must be one of .* Did you mean imagenet"),
        ("model.weights=nowhere.pth", "nowhere.pth, but there is none"),
        ("model.weights=vtbr:nowhere", "nowhere is no checkpoint"),
        ("model.weights=virtex", "virtex is a resnet50, but the backbone is mobilenet"),
        ("model.pooling=max", "pooling must be one of average, gem, got 'max'"),
        ("model.last_stride=3", "last_stride must be from 1 to 2, got 3"),
        ("center_rate=2", "rate must be above 0 and at most 1, got 2"),
        ("losses.centre=1", r"unknown key losses.centre. Did you mean losses.center\?"),
        (
            "data.identity_share=0",
            "identity_share must be above 0 and at most 1, got 0",
        ),
        ("data.identity_share=0.2", "a batch needs 4 identities, but there are only 2"),
        ("epochs.warmup=1", "epochs.run is 0, so that steps are counted"),
        ("epochs.run=-1", "epochs must be numbers >= 0"),
        ("loop.accumulate=8", "identities_per_batch is 4: that does not divide into 8"),
    ],
)
def test_bad_argument(argument, expected, pedestrians, run, tmp_path):
    outcome = run(finetune.main, debug(pedestrians, tmp_path / "run", argument))
    assert outcome.status == 2 and not (tmp_path / "run").exists()
    last = outcome.err.rstrip("\n").split("\n")[-1]
    assert last.startswith("error: ") and re.search(expected, last), last


class TestEpochs:
    def test_become_steps(self):
        config, _ = load_config(FinetuneConfig, ["data.root=a", "output=b"])
        epochs = EpochConfig(
            run=120, warmup=10, milestones=(40, 70), evaluate_every=2.5
        )
        loop, schedule = in_steps(epochs, config.loop, config.schedule, 1000, 64)
        assert loop.steps == 1875 and loop.evaluate_every == 40
        assert schedule.warmup_steps == 156 and schedule.milestones == (625, 1094)
        assert in_steps(EpochConfig(), config.loop, config.schedule, 1000, 64) == (
            config.loop,
            config.schedule,
        )


class TestIdentityShare:
    IMAGES = [PersonImage(f"{i}", identity=3 * (i // 2), camera=0) for i in range(40)]

    def paths(self, share, seed=0):
        return {image.path for image in take_identities(self.IMAGES, share, seed)}

    def test_takes_whole_identities_and_numbers_them(self):
        taken = take_identities(self.IMAGES, 0.3, 0)
        assert [image.identity for image in taken] == [i // 2 for i in range(12)]

    def test_smaller_shares_are_part_of_larger_ones(self):
        assert self.paths(0.1) < self.paths(0.3) < self.paths(1.0)
        assert len(self.paths(0.001)) == 2
        assert len({frozenset(self.paths(0.1, seed)) for seed in range(5)}) > 1


def test_help_is_readable(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    for module in (finetune, evaluate):
        status, text, _ = run(module.main, ["--help"])
        assert status == 0 and f"usage: python -m {module.__name__}" in text
        assert "  data.root: str (must be given)" in text
        assert max(map(len, text.splitlines())) < 170


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("*_finetune.yaml")), ids=lambda path: path.name
)
def test_configurations_fit(path):
    arguments = ["--config", str(path), "data.root=a", "output=b"]
    config, _ = load_config(FinetuneConfig, arguments)
    loop, schedule = in_steps(
        config.epochs, config.loop, config.schedule, num_images=12936, batch_size=64
    )
    build_schedule(schedule, loop.steps)
    assert config.image.size[0] == 2 * config.image.size[1]
