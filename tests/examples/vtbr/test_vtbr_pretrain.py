# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""VTBR's pretraining and captioning, whole, on pedestrians of 32 x 32 pixels."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from examples.common.config import load_config
from examples.common.main import run_main
from examples.common.optim import build_optimizer
from examples.vtbr import caption, pretrain
from examples.vtbr.caption_evaluation import caption_metrics, spread
from examples.vtbr.pretrain_definitions import CaptionConfig, VTBRPretrainConfig
from examples.vtbr.pretraining_tasks import TASKS
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import PersonDataset
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.data.synthetic.__main__ import main as render
from torchmultimodal_reid.models.backbone_weights import load_backbone_weights
from torchmultimodal_reid.models.backbones import build_backbone
from torchmultimodal_reid.models.saved_vtbr import (
    build_vtbr,
    load_captioner,
    load_vtbr,
    VTBR_BUILDERS,
    VTBR_MODELS,
)
from torchmultimodal_reid.models.vtbr import vtbr_r18
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import EvalImageTransform, Normalize
from torchmultimodal_reid.utils.checkpoint import read_checkpoint, write_checkpoint

CONFIGS = Path(__file__).parents[3] / "examples" / "vtbr" / "configs"


def run_here(main, arguments):
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


def debug(root, output, *more):
    config = ["--config", str(CONFIGS / "debug_pretrain.yaml")]
    return [*config, f"data.root={root}", f"output={output}", *more]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Twelve rendered pedestrians, two of them for testing. Do not change it."""
    root = tmp_path_factory.mktemp("world") / "data"
    size = "--identities 12 --test-identities 2 --cameras 2 --images-per-camera 2 --image-size 32 32"
    assert render(["--out", str(root), *size.split(), "--workers", "1", "--quiet"]) == 0
    return root


@pytest.fixture(scope="module")
def pretrained(world, tmp_path_factory):
    """A finished run, never stopped. Do not change it."""
    output = tmp_path_factory.mktemp("pretrained") / "run"
    assert run_here(pretrain.main, debug(world, output)) == 0
    yield output
    shutil.rmtree(output)


class TestRun:
    def test_leaves_a_captioner_that_a_user_can_call(self, pretrained, world):
        captioner = load_captioner(pretrained / "best")
        paths = sorted((world / "query").iterdir())[:2]
        captions = captioner.caption(paths)
        assert len(captions) == 2 and all(isinstance(text, str) for text in captions)
        assert {"best", "captions.png", "config.yaml", "metrics.jsonl"} <= {
            path.name for path in pretrained.iterdir()
        }

    def test_logs_losses_and_what_captions_are_worth(self, pretrained):
        lines = [json.loads(line) for line in (pretrained / "metrics.jsonl").open()]
        losses = [line for line in lines if "train/loss" in line]
        assert [line["step"] for line in losses] == [1, 2, 3, 4, 5, 6]
        for line in losses:
            parts = line["train/forward"] + line["train/backward"]
            assert line["train/loss"] == pytest.approx(parts, rel=1e-4)
        found = [line for line in lines if "validation/selection" in line]
        assert [line["step"] for line in found] == [3, 6]
        names = ("forward_perplexity", "backward_perplexity", "bleu4", "cider")
        for name in (*names, "attributes"):
            assert f"validation/{name}" in found[0]

    def test_going_on_equals_never_having_stopped(self, pretrained, tmp_path):
        stopped = Path(shutil.copytree(pretrained, tmp_path / "run"))
        shutil.rmtree(stopped / "checkpoints" / "step_00000006")
        assert run_here(pretrain.main, ["--resume", str(stopped)]) == 0
        one, other = (
            read_checkpoint(folder / "checkpoints" / "step_00000006").tensors
            for folder in (pretrained, stopped)
        )
        assert any(name.startswith("slow/") for name in one["optimizer"])
        for group in ("model", "optimizer"):
            assert one[group].keys() == other[group].keys()
            for name, tensor in one[group].items():
                assert torch.equal(tensor, other[group][name]), name

    def test_the_cnn_becomes_a_backbone(self, pretrained):
        backbone = build_backbone("resnet18")
        report = load_backbone_weights(
            backbone, "resnet18", f"vtbr:{pretrained / 'best'}"
        )
        assert not report.missing and len(report.loaded) == len(backbone.state_dict())
        weights = read_checkpoint(pretrained / "best").tensors["model"]
        assert torch.equal(
            backbone.state_dict()["conv1.weight"], weights["visual.conv1.weight"]
        )


class TestBadInput:
    def test_a_data_set_without_captions(self, world, tmp_path, capsys):
        root = Path(shutil.copytree(world, tmp_path / "data"))
        (root / "captions.json").unlink()
        assert run_here(pretrain.main, debug(root, tmp_path / "run")) == 2
        assert (
            "images has a caption; expected a captions.json" in capsys.readouterr().err
        )
        assert not (tmp_path / "run").exists()

    def test_another_vocabulary(self, pretrained, tmp_path):
        checkpoint = read_checkpoint(pretrained / "best", groups=["model"])
        metadata = json.loads(json.dumps(checkpoint.metadata))
        metadata["model"]["arguments"]["vocab_size"] += 1
        tensors = checkpoint.tensors
        for name in ("embedding.words.weight", "output.weight", "output.bias"):
            tensor = tensors["model"][name]
            tensors["model"][name] = torch.cat([tensor, tensor[:1]])
        files = {
            "tokenizer.json": (pretrained / "best" / "tokenizer.json").read_bytes()
        }
        write_checkpoint(tmp_path / "other", tensors, metadata, files)
        with pytest.raises(
            ValueError, match="the tokeniser has .* tokens, but the model"
        ):
            load_vtbr(tmp_path / "other")

    def test_a_checkpoint_of_another_model(self, tmp_path):
        metadata = {"model": {"builder": "mmet_tiny"}}
        write_checkpoint(tmp_path / "mmet", {"model": {}}, metadata)
        with pytest.raises(
            ValueError, match="describes no VTBR .its model is mmet_tiny"
        ):
            load_captioner(tmp_path / "mmet")

    def test_keys(self):
        with pytest.raises(ValueError, match="Did you mean vtbr_r18"):
            load_config(
                VTBRPretrainConfig, ["output=x", "data.root=y", "model.name=vtbr_r19"]
            )
        with pytest.raises(ValueError, match="images must name files or folders"):
            load_config(CaptionConfig, ["checkpoint=x", "output=y"])


def test_parts_are_looked_at_before_any_data(tmp_path, capsys):
    arguments = debug(tmp_path / "nowhere", tmp_path / "run", "loop.accumulate=3")
    assert run_here(pretrain.main, arguments) == 2
    expected = "loop.accumulate is 3, but batch_size is 8: that does not divide into 3"
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


class TestCaption:
    def test_a_folder(self, pretrained, world, tmp_path, capsys):
        arguments = [
            f"checkpoint={pretrained / 'best'}",
            f"images=[{world / 'query'}]",
            f"output={tmp_path / 'captions'}",
            "search=nucleus",
            "shown=2",
        ]
        assert run_here(caption.main, arguments) == 0
        records = json.loads((tmp_path / "captions" / "captions.json").read_text())
        paths = [str(path) for path in sorted((world / "query").iterdir())]
        assert [record["file_path"] for record in records] == paths
        assert all(record["log_prob"] < 0 for record in records)
        assert (tmp_path / "captions" / "captions.png").is_file()
        assert f"2 of {len(paths)} images are shown" in capsys.readouterr().out

    def test_no_such_image(self, pretrained, tmp_path, capsys):
        arguments = [f"checkpoint={pretrained / 'best'}", "images=[nowhere.jpg]"]
        arguments += [f"output={tmp_path / 'captions'}"]
        assert run_here(caption.main, arguments) == 2
        assert "there is no image or folder nowhere.jpg" in capsys.readouterr().err


@pytest.fixture(params=list(VTBR_BUILDERS))
def taught(request, market, tokenizer):
    """A small model of each task, the task, and captions of several lengths."""
    images = [image for image in market.train if image.captions]
    see = EvalImageTransform((32, 32))
    dataset = PersonDataset(images, see, CaptionTransform(tokenizer, 40))
    batch = Collate(tokenizer.pad_id)([dataset[i] for i in range(4)])
    assert len(set(batch.text_padding.sum(dim=1).tolist())) > 1
    sizes = {"d_model": 16, "n_head": 2, "dim_feedforward": 32}
    if request.param == "vtbr_token_classification":
        sizes = {}
    model = VTBR_BUILDERS[request.param](
        backbone="resnet18",
        vocab_size=tokenizer.vocab_size,
        image_size=(32, 32),
        **sizes,
    )
    task = TASKS[request.param](tokenizer, Normalize((0.5,) * 3, (0.5,) * 3), 0)
    return model, task, batch


def test_every_task_gives_losses_with_gradients(taught):
    model, task, batch = taught
    losses = task(model, batch, 3)
    assert set(losses) == set(task.names)
    sum(losses.values()).backward()
    assert model.visual.state_dict()
    assert all(p.grad is not None for p in model.visual.parameters())


def test_rows_say_how_much_a_part_of_a_batch_counts(taught):
    model, task, batch = taught
    model.eval()
    parts = [batch.part(0, 1), batch.part(1, 4)]
    rows = [task.count_rows(part, 3) for part in parts]
    losses = [task(model, part, 3) for part in parts]
    for name, whole in task(model, batch, 3).items():
        total = sum(loss[name] * row[name] for loss, row in zip(losses, rows))
        torch.testing.assert_close(total / sum(row[name] for row in rows), whole)


class TestBaseConfiguration:
    @pytest.fixture
    def config(self):
        path = CONFIGS / "base_bicaptioning_r50_l1_h1024.yaml"
        return load_config(
            VTBRPretrainConfig, ["--config", str(path), "data.root=r", "output=o"]
        )[0]

    def test_is_the_papers(self, config):
        assert (config.loop.checkpoint_every, config.loop.log_every) == (2000, 20)
        assert (config.loop.steps, config.schedule.warmup_steps) == (500000, 10000)
        assert (config.batch_size, config.loop.gradient_clip) == (128, 10.0)
        arguments = VTBR_MODELS[config.model.name].arguments
        assert (arguments["d_model"], arguments["n_layer"]) == (1024, 1)

    def test_learning_rates_and_decay(self, config):
        with torch.device("meta"):
            arguments = VTBR_MODELS[config.model.name].arguments
            model = VTBR_BUILDERS["vtbr"](**{**arguments, "dim_feedforward": 8})
        groups = {
            parameter: group
            for group in build_optimizer(model, config.optimizer).param_groups
            for parameter in group["params"]
        }
        for name, parameter in model.named_parameters():
            rate = 0.2 if name.startswith("visual.") else 1e-3
            assert groups[parameter]["lr"] == pytest.approx(rate)
            spared = not name.startswith("visual.") and parameter.dim() < 2
            assert groups[parameter]["weight_decay"] == (0.0 if spared else 1e-4), name


def test_the_small_model_is_the_builders():
    with torch.device("meta"):
        builder, arguments = VTBR_MODELS["vtbr_r18"]
        one, other = builder(**arguments).state_dict(), vtbr_r18().state_dict()
    assert {name: tensor.shape for name, tensor in one.items()} == {
        name: tensor.shape for name, tensor in other.items()
    }


def test_an_unknown_builder(pretrained):
    description = load_vtbr(pretrained / "best").description
    with pytest.raises(ValueError, match="unknown model 'gpt', expected one of vtbr"):
        build_vtbr(description._replace(builder="gpt"))


def test_metrics_of_perfect_captions():
    person = {"gender": "male", "upper_color": "red", "lower_color": "blue"}
    captions = ["A man in a red coat and blue jeans.", "A guy in a red top."]
    images = [
        PersonImage(f"{i}.jpg", i, 0, (text,), {"attributes": person, "told": [{}]})
        for i, text in enumerate(captions)
    ]
    metrics = caption_metrics(captions, images)
    assert metrics["bleu4"] == pytest.approx(1.0)
    assert metrics["attributes"] == 1.0
    assert metrics["told_lower_color"] == 0.5
    plain = [image._replace(attributes=None) for image in images]
    assert set(caption_metrics(captions, plain)) == {"bleu4", "cider"}


def test_spread():
    images = [PersonImage(str(i), i, 0) for i in range(10)]
    assert [image.path for image in spread(images, 4)] == ["0", "2", "5", "7"]
    assert spread(images, 20) == tuple(images)
