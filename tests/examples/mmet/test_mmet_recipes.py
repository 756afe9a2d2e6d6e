# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import shutil
from pathlib import Path

import pytest
from examples.common.config import load_config
from examples.common.optim import build_schedule
from examples.mmet.definitions import FinetuneConfig, PretrainConfig
from PIL import Image
from torchmultimodal_reid.models.saved import load, load_mmet
from torchmultimodal_reid.transforms.tokenizer import SPECIAL_TOKENS
from torchmultimodal_reid.utils.checkpoint import read_checkpoint

CONFIGS = Path(__file__).parents[3] / "examples" / "mmet" / "configs"


@pytest.fixture(scope="module")
def evaluated(world, finetuned, tmp_path_factory):
    """The folder of an evaluation."""
    from examples.mmet.evaluate import main

    output = tmp_path_factory.mktemp("evaluated") / "target"
    main(
        [
            f"checkpoint={finetuned / 'best'}",
            f"data.root={world}",
            f"output={output}",
            "data.name=toy",
        ]
    )
    return output


class TestPretrain:
    def test_leaves_a_model_its_tokeniser_and_a_log(self, pretrained):
        loaded = load_mmet(pretrained / "best")
        assert loaded.description.image_size == (32, 16)
        assert loaded.tokenizer.vocab_size == loaded.description.arguments["vocab_size"]
        assert {path.name for path in pretrained.iterdir()} == {
            "best",
            "checkpoints",
            "config.yaml",
            "metrics.jsonl",
            "reconstruction.png",
            "run.json",
            "tensorboard",
        }
        assert [
            path.name for path in sorted((pretrained / "checkpoints").iterdir())
        ] == [
            "step_00000004",
            "step_00000006",
        ]

    def test_logs_each_step_and_each_loss_by_name(self, pretrained, tools):
        assert list(tools.metrics(pretrained)) == [1, 2, 3, 4, 5, 6]
        seen = {
            key
            for line in (pretrained / "metrics.jsonl").open()
            for key in json.loads(line)
        }
        names = (
            "mim",
            "mlm",
            "mmm_image",
            "mmm_text",
            "itm",
            "gc",
            "learning_rate",
            "images_per_second",
        )
        assert {f"train/{name}" for name in names} <= seen
        assert list(tools.metrics(pretrained, "validation/selection")) == [3, 6]

    def test_best_is_the_best_on_the_validation_split(self, pretrained, tools):
        selection = tools.metrics(pretrained, "validation/selection")
        best = read_checkpoint(pretrained / "best", groups=[]).metadata
        assert best["best"]["selection"] == max(selection.values())
        assert selection[best["step"]] == max(selection.values())

    def test_draws_a_reconstruction(self, pretrained):
        with Image.open(pretrained / "reconstruction.png") as picture:
            assert min(picture.size) > 100

    def test_one_source_and_one_loss(self, run, world, tmp_path, tools):
        chosen = "mixture.text=0 mixture.image=0 losses.mim=0 losses.mmm_image=0 losses.mmm_text=0 losses.gc=0"
        more = [*chosen.split(), "loop.steps=3", "data.validation_share=0"]
        outcome = run(
            "pretrain", tools.debug("pretrain", world, tmp_path / "run", *more)
        )
        assert outcome.status == 0, outcome.err
        assert len(tools.metrics(tmp_path / "run", "train/mlm")) == 3
        assert not tools.metrics(tmp_path / "run", "train/mim")
        # nothing was evaluated, so the last checkpoint is the result; and there are no patches to reconstruct
        assert (
            "done after 3 steps" in outcome.out
            and "checkpoints/step_00000003" in outcome.out
        )
        assert not (tmp_path / "run" / "reconstruction.png").exists()

    def test_images_without_captions(self, run, own_world, tmp_path, tools):
        (own_world / "captions.json").unlink()
        vocabulary = tmp_path / "vocab.txt"
        vocabulary.write_text("\n".join([*SPECIAL_TOKENS, "person", "coat"]))
        more = f"mixture.paired=0 mixture.text=0 text.vocabulary={vocabulary} loop.steps=2 schedule.warmup_steps=0"
        outcome = run(
            "pretrain",
            tools.debug("pretrain", own_world, tmp_path / "run", *more.split()),
        )
        assert outcome.status == 0, outcome.err


class TestFinetune:
    def test_leaves_a_model_to_search_with(self, finetuned):
        model, tokenizer, description = load(finetuned / "best")
        assert (
            description.num_identities == 8
        )  # ten for training, of which a quarter is for validation
        assert not model.training

    def test_starts_from_the_pretrained_weights(
        self, pretrained, world, run, tmp_path, tools
    ):
        more = [
            f"pretrained={pretrained / 'best'}",
            "optimizer.lr=0",
            "optimizer.weight_decay=0",
            "loop.steps=1",
        ]
        more += ["schedule.warmup_steps=0", "data.validation_share=0"]
        outcome = run(
            "finetune", tools.debug("finetune", world, tmp_path / "run", *more)
        )
        assert outcome.status == 0, outcome.err
        before = read_checkpoint(pretrained / "best", groups=["model"]).tensors["model"]
        after = read_checkpoint(
            tmp_path / "run" / "checkpoints" / "step_00000001"
        ).tensors["model"]
        shared = [name for name in before if name.startswith("mmet.")]
        assert shared and all(before[name].equal(after[name]) for name in shared)

    def test_images_alone_need_no_captions(self, run, own_world, tmp_path, tools):
        (own_world / "captions.json").unlink()
        more = "modalities=[image] loop.steps=3 data.workers=1 data.cache=true"
        outcome = run(
            "finetune",
            tools.debug("finetune", own_world, tmp_path / "run", *more.split()),
        )
        assert outcome.status == 0, outcome.err
        checkpoint = tmp_path / "run" / "best"
        arguments = [
            f"checkpoint={checkpoint}",
            f"data.root={own_world}",
            f"output={tmp_path / 'e'}",
        ]
        outcome = run("evaluate", [*arguments, "figures=false", "queries=[image]"])
        assert outcome.status == 0, outcome.err
        assert "image query" in outcome.out and "text query" not in outcome.out


class TestEvaluate:
    def test_report_says_what_the_numbers_are(self, evaluated, finetuned):
        report = json.loads((evaluated / "results.json").read_text())
        assert report["dataset"] == "toy"
        assert report["counts"] == {
            "query_rows": 8,
            "query_identities": 4,
            "query_cameras": 2,
            "gallery_rows": 8,
            "gallery_identities": 4,
            "gallery_cameras": 2,
        }
        assert report["versions"]["torch"] and "commit" in report
        assert report["extra"]["checkpoint"] == str(finetuned / "best")
        protocols = {row["name"]: row["protocol"] for row in report["results"]}
        assert {name: protocol["name"] for name, protocol in protocols.items()} == {
            "image query": "image-to-image",
            "text query": "text-to-image-cross-camera",
            "image+text query": "image+text-to-image",
            "chance": "image-to-image",
            "oracle of captions": "text-to-image-cross-camera",
        }
        assert all(
            protocol["camera_filter"] and protocol["version"] == 1
            for protocol in protocols.values()
        )

    def test_every_query_is_scored(self, evaluated):
        rows = json.loads((evaluated / "results.json").read_text())["results"]
        counts = {row["name"]: row["metrics"]["num_valid_queries"] for row in rows}
        # two captions an image
        assert (
            counts["image query"] == 8
            and counts["text query"] == counts["image+text query"] == 16
        )

    def test_draws_figures(self, evaluated):
        for name in ("ranked_lists.png", "cmc.png"):
            with Image.open(evaluated / name) as picture:
                assert min(picture.size) > 100

    def test_captions_for_some_images(
        self, run, finetuned, own_world, tmp_path, caplog
    ):
        records = json.loads((own_world / "captions.json").read_text())
        (own_world / "captions.json").write_text(json.dumps(records[:-3]))
        arguments = [
            f"checkpoint={finetuned / 'best'}",
            f"data.root={own_world}",
            f"output={tmp_path / 'e'}",
        ]
        outcome = run("evaluate", [*arguments, "data.missing_captions=allow"])
        assert outcome.status == 0, outcome.err
        assert "3 of 56 images" in caplog.text


@pytest.mark.parametrize("recipe", ["pretrain", "finetune", "evaluate"])
def test_help_is_readable(recipe, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    status, text, _ = run(recipe, ["--help"])
    assert status == 0
    assert f"usage: python -m examples.mmet.{recipe}" in text
    assert "https://arxiv.org/abs/2304.09498" in text or recipe == "evaluate"
    keys = text.split("keys, their types and defaults:\n")[1].splitlines()
    assert any(line.startswith("  data.root: str (must be given)") for line in keys)
    for line in keys:
        assert len(line) < 170
    if recipe != "evaluate":
        assert any(line.startswith("  losses.") and "float = " in line for line in keys)


def test_run_folder_that_was_moved_is_resumed_where_it_is(run, finetuned, tmp_path):
    moved = shutil.copytree(finetuned, tmp_path / "moved")
    outcome = run("finetune", ["--resume", str(moved)])
    assert outcome.status == 0, outcome.err
    assert len(json.loads((moved / "run.json").read_text())["sessions"]) == 2
    assert len(json.loads((finetuned / "run.json").read_text())["sessions"]) == 1


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name
)
def test_configurations_fit_their_recipes(path):
    schema = PretrainConfig if path.stem.endswith("pretrain") else FinetuneConfig
    config, _ = load_config(schema, ["--config", str(path), "data.root=a", "output=b"])
    build_schedule(config.schedule, config.loop.steps)
    assert config.image.size[0] == 2 * config.image.size[1]
