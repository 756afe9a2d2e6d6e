# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from examples.zoo import page, publish as program
from examples.zoo.half_precision import shipped_state, smallest_cosine
from examples.zoo.lineage import hide_paths, read_lineage
from examples.zoo.publish import main, publish
from PIL import Image
from torchmultimodal_reid.evaluation.protocols import get_protocol
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics
from torchmultimodal_reid.evaluation.report import build_report, ResultRow, write_report
from torchmultimodal_reid.models import zoo
from torchmultimodal_reid.models.loading import load
from torchmultimodal_reid.pipeline import ReIDPipeline
from torchmultimodal_reid.utils.checkpoint import (
    checkpoint_fingerprint,
    read_checkpoint,
    write_checkpoint,
)

RENDERED = {
    "renderer": "torchmultimodal_reid.data.synthetic",
    "version": 5,
    "identities": 10,
    "cameras": 2,
    "test_identities": 4,
    "domain": 1,
    "seed": 3,
    "image_size": [128, 64],
    "counts": {"query": 4},
}
COMMAND = (
    "/home/anna/.venv/bin/python /home/anna/code/examples/mmet/{recipe}.py "
    "--config=examples/mmet/configs/{recipe}.yaml data.root={root} output={folder}"
)
SUMMARY = "MMET, tiny: finds rendered people"


@pytest.fixture(autouse=True)
def weights(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    return tmp_path / "weights"


@pytest.fixture
def data(tmp_path):
    """Folders of two rendered data sets."""
    for name, domain in (("source", 1), ("target", 2)):
        (tmp_path / name).mkdir()
        told = json.dumps({**RENDERED, "domain": domain})
        (tmp_path / name / "dataset.json").write_text(told)
    return tmp_path


@pytest.fixture
def run(write_model, data):
    """Writes a run's folder with its best checkpoint, and returns the checkpoint."""

    def write(
        name="finetune", kind="mmet_for_reid", *, seed=0, pretrained=None, **more
    ):
        folder = data / name
        best = write_model(folder / "best", kind)
        if more:
            change(best, **more)
        config = {
            "seed": seed,
            "output": str(folder),
            "pretrained": pretrained and str(pretrained),
            "data": {"root": str(data / "source")},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        recipe = "pretrain" if kind == "mmet" else "finetune"
        command = COMMAND.format(recipe=recipe, root=data / "source", folder=folder)
        environment = {
            "commit": "c0ffee",
            "dirty": False,
            "versions": {"torch": "2.9"},
            "devices": ["cpu"],
        }
        session = {"command": command, "seed": seed, "environment": environment}
        (folder / "run.json").write_text(json.dumps({"sessions": [session]}))
        return best

    return write


def change(best, noise=0.0, metadata=None, scale=1.0):
    """Writes a checkpoint again with other weights or metadata."""
    content = read_checkpoint(best, ["model"])
    tensors = {
        name: tensor * scale + noise if tensor.is_floating_point() else tensor
        for name, tensor in content.tensors["model"].items()
    }
    files = {
        path.name: path.read_bytes() for path in best.iterdir() if "token" in path.name
    }
    told = {**content.metadata, **(metadata or {})}
    write_checkpoint(best, {"model": tensors}, told, files)


@pytest.fixture
def results(data):
    """Writes a results.json of a checkpoint."""

    def write(best, dataset, value, file=None):
        cmc = torch.tensor([value, 1.0], dtype=torch.float64)
        metrics = RankingMetrics(
            cmc=cmc,
            mAP=value,
            mAP_trapezoid=value,
            mINP=value,
            num_queries=4,
            num_valid_queries=4,
            tpr_at_fpr=None,
        )
        rows = [ResultRow("image query", get_protocol("image-to-image"), metrics)]
        fingerprint = checkpoint_fingerprint(read_checkpoint(best, []))
        extra = {
            "checkpoint": str(best),
            "model": {"fingerprint": fingerprint},
            "root": str(data / dataset),
        }
        report = build_report(rows, dataset=dataset, counts={}, extra=extra)
        path = file or best.parent / dataset / "results.json"
        return str(write_report(path, report))

    return write


@pytest.fixture
def two_seeds(run, results):
    """A pretrained run, fine-tuned with seed 0 and, in another folder, with seed 4; and the results of both."""
    pretrained = run("pretrain", "mmet")
    best = run(pretrained=pretrained, metadata={"best": {"image_mAP": 0.5}})
    other = run("other", seed=4, noise=0.01, metadata={"best": {"image_mAP": 0.7}})
    files = [results(best, "source", 0.5), results(other, "source", 0.7)]
    return best, other, files + [results(best, "target", 0.25)]


def test_an_entry(two_seeds, weights, tmp_path, tokenizer):
    best, other, files = two_seeds
    folder = publish(best, "tiny_reid", SUMMARY, scores=files, seeds=[other])
    assert folder == weights / "tiny_reid"
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors",
        "tokenizer.json",
        "checkpoint.json",
        "1_pretrain.yaml",
        "2_finetune.yaml",
        "README.md",
    }
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    stored = read_checkpoint(folder).tensors
    assert list(stored) == ["model"]  # nothing of the optimizer
    for tensor in stored["model"].values():
        half = tensor.ndim > 1
        assert not tensor.is_floating_point() or half == (tensor.dtype == torch.float16)
    loaded, before = load("tiny_reid"), load(best)
    assert {weight.dtype for weight in loaded.model.parameters()} == {torch.float32}
    assert loaded.tokenizer.fingerprint() == tokenizer.fingerprint()
    assert loaded.description == before.description and loaded.kind == "mmet_for_reid"
    Image.new("RGB", (20, 40), (200, 30, 30)).save(tmp_path / "a.png")
    pipes = [ReIDPipeline.from_checkpoint(name, "cpu") for name in ("tiny_reid", best)]
    found, expected = (pipe.embed([tmp_path / "a.png"], ["red"]) for pipe in pipes)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-2)
    assert zoo.zoo_models()["tiny_reid"].summary == SUMMARY


def test_its_card(two_seeds, weights, data):
    best, other, files = two_seeds
    folder = publish(best, "tiny_reid", SUMMARY, scores=files, seeds=[other])
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith(f"# tiny_reid\n\n{SUMMARY}\n")
    # mean and deviation of 50 and 70 %, and of 25 % alone
    assert (
        "| source | image query | 60.0 ± 14.1 | 60.0 ± 14.1 | 60.0 ± 14.1 | 50.0 |"
        in card
    )
    assert "| target | image query | 25.0 | 25.0 | 25.0 | 25.0 |" in card
    assert "| image_mAP | 60.0 ± 14.1 % | 50.0 % |" in card
    assert "over seeds 0, 4;" in card
    for text in (
        "--out source --identities 10 --cameras 2 --test-identities 4 --domain 1 --seed 3 --image-size 128 64",
        "--out target --identities 10",
        "python -m examples.mmet.pretrain --config=examples/mmet/configs/pretrain.yaml "
        "data.root=source output=pretrain\n",
        "python -m examples.mmet.finetune",
        "Seed 0, commit `c0ffee`, torch 2.9, on cpu",
        "images, resized to 32 x 16 pixels; captions of up to 12 tokens",
        'ReIDPipeline.from_checkpoint("tiny_reid")',
        "`1_pretrain.yaml` and `2_finetune.yaml`",
        "must not be used",
        "surveillance",
        "Words that these never use",
    ):
        assert text in card, text
    assert "$" not in card
    written = card + "".join(path.read_text() for path in folder.glob("*.yaml"))
    written += (folder / "checkpoint.json").read_text()
    assert str(data) not in written and "anna" not in written


@pytest.mark.parametrize("kind", ["mmet", "reid_baseline", "vtbr"])
def test_each_kind(kind, run, results):
    best = run(kind=kind)
    scores = [results(best, "source", 0.5)] if kind == "reid_baseline" else []
    folder = publish(best, "model", SUMMARY, scores=scores, dtype="bfloat16")
    loaded = load("model")
    assert loaded.kind == kind and smallest_cosine(loaded, load(best)) > 0.999
    stored = read_checkpoint(folder).tensors["model"]
    assert {v.dtype for v in stored.values() if v.ndim > 1} == {torch.bfloat16}
    if kind == "mmet":  # the head of the pretraining stayed behind
        assert all(name.startswith("mmet.") for name in stored)
    if kind == "vtbr":  # tied
        assert ("output.weight" in stored) + ("embedding.words.weight" in stored) == 1
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert ("tokeniser" in card) == (kind != "reid_baseline")


def test_the_command(two_seeds, weights, monkeypatch, capsys, tmp_path):
    text = "# Zoo\n<!-- models -->\nold\n<!-- end of models -->\nend\n"
    (tmp_path / "zoo.md").write_text(text)
    monkeypatch.setattr(page, "PAGE", tmp_path / "zoo.md")
    best, _, files = two_seeds
    arguments = [str(best), "tiny", "--summary", SUMMARY, "--scores", *files]
    main(arguments)
    assert "read " in capsys.readouterr().out
    assert re.fullmatch(
        r"# Zoo\n<!-- models -->\n\| name .*\n\|---\|---\|---\|\n"
        r"\| \[`tiny`\]\(../torchmultimodal_reid/weights/tiny/README.md\) \| MMET, tiny: finds rendered people \| "
        r"0\.\d \|\n<!-- end of models -->\nend\n",
        (tmp_path / "zoo.md").read_text(),
    )
    with pytest.raises(ValueError, match="has a model 'tiny' already; .*--replace"):
        main(arguments)
    main([*arguments, "--replace"])


def test_source_that_no_commit_holds_is_told(two_seeds, capsys):
    best, _, files = two_seeds
    path = best.parent / "run.json"
    path.write_text(path.read_text().replace('"dirty": false', '"dirty": true'))
    folder = publish(best, "tiny", SUMMARY, scores=files)
    assert "finetune ran from source that no commit holds" in capsys.readouterr().out
    assert "c0ffee+changes" in (folder / "README.md").read_text(encoding="utf-8")


class TestRefusals:
    def refuse(self, message, best, scores=(), name="tiny", summary=SUMMARY, **more):
        with pytest.raises(ValueError, match=message):
            publish(best, name, summary, scores=scores, **more)
        assert not zoo.WEIGHTS.is_dir() or list(zoo.WEIGHTS.iterdir()) == []

    def test_too_large(self, two_seeds, monkeypatch):
        best, _, files = two_seeds
        monkeypatch.setattr(program, "LARGEST_FILE", 10_000)
        self.refuse(
            r"of tiny in float16 have 0.\d MB, expected at most 0 MB", best, files
        )

    def test_a_zoo_that_is_too_large(self, two_seeds, monkeypatch):
        best, _, files = two_seeds
        monkeypatch.setattr(program, "LARGEST_ZOO", 10_000)
        self.refuse("with tiny the zoo would have 0.. MB, expected at m", best, files)

    def test_too_large_for_half_precision(self, run, results):
        best = run(scale=1e6)
        files = [results(best, "source", 0.5)]
        self.refuse("has a value of .*, which torch.float16 cannot hold", best, files)

    def test_rounding_that_changes_outputs(self, two_seeds, monkeypatch):
        best, _, files = two_seeds
        monkeypatch.setattr(program, "MOST_ALIKE", 1.1)
        self.refuse(
            "rounding tiny to float16 changes what it comp.*--dtype", best, files
        )

    def test_no_scores(self, run):
        self.refuse("needs its scores: give the results.json of its eval", run())

    def test_scores_of_others(self, two_seeds):
        best, _, files = two_seeds
        self.refuse("none of the results is of the checkpoint to pub", best, files[1:2])

    def test_scores_twice(self, two_seeds, results):
        best, _, files = two_seeds
        twice = results(best, "source", 0.5, best.parent / "again.json")
        self.refuse(
            "two of the results are of data set 'source' and seed 0",
            best,
            [*files, twice],
        )

    def test_scores_of_before_the_last_training(self, two_seeds):
        best, other, files = two_seeds
        change(other, noise=0.1)
        self.refuse(
            "is of another checkpoint than the one that now lies at .*other",
            best,
            files,
        )

    def test_data_that_was_not_rendered(self, two_seeds, data):
        best, _, files = two_seeds
        (data / "source" / "dataset.json").unlink()
        self.refuse("source holds no data set .* images of real people", best, files)

    @pytest.mark.parametrize(
        "start, message",
        [
            ("imagenet", "started from the weights 'imagenet', which learned from im"),
            ("vtbr:/nowhere/best", "/nowhere/best lies in no run: no folder above it"),
        ],
    )
    def test_weights_of_others(self, start, message, run):
        best = run(kind="reid_baseline")
        config = yaml.safe_load((best.parent / "config.yaml").read_text())
        config["model"] = {"weights": start}
        (best.parent / "config.yaml").write_text(yaml.safe_dump(config))
        with pytest.raises(ValueError, match=message):
            read_lineage(best)
        self.refuse(message, best, ["a"])

    def test_data_that_is_not_named(self, run):
        best = run()
        (best.parent / "config.yaml").write_text("data: {root: '???', shards: a}\n")
        self.refuse("config.yaml names no data set under data.root", best, ["a"])

    def test_a_checkpoint_without_its_run(self, write_model, tmp_path):
        best = write_model(tmp_path / "alone" / "best")
        self.refuse("lies in no run: .* holds run.json and config.yaml", best, ["a"])

    def test_another_kind(self, run):
        best = run(kind="vtbr_masked_lm")
        self.refuse("holds a model of kind vtbr_masked_lm, expected one of mmet_", best)

    @pytest.mark.parametrize("name", ["Tiny", "a-b", "../a", "", "1a"])
    def test_names(self, name, run):
        self.refuse("a name of the zoo is of lower case letters", run(), name=name)

    @pytest.mark.parametrize("summary", [" ", "a\nb", "a | b"])
    def test_summaries(self, summary, run):
        self.refuse("the summary must be one line of text", run(), summary=summary)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("data.root=/home/anna/data/source", "data.root=source"),
        ("weights: vtbr:/home/anna/runs/pretrain/best", "weights: vtbr:pretrain/best"),
        ("a=[/x/y,'/z/v.json'] b", "a=[y,'v.json'] b"),
        ("--config=/home/anna/examples/mmet/a.yaml", "--config=examples/mmet/a.yaml"),
        ("runs/pretrain/best 1/2 ../a ./b", "runs/pretrain/best 1/2 ../a ./b"),
        ("https://example.org/a/b", "https://example.org/a/b"),
    ],
)
def test_paths_of_the_machine_are_left_out(text, expected):
    assert hide_paths(text) == expected


def test_tied_and_whole_numbers_are_kept(write_model, tmp_path):
    loaded = load(write_model(tmp_path / "a", "reid_baseline"))
    state = shipped_state(loaded, torch.float16)
    own = loaded.model.state_dict()
    assert set(state) == set(own)
    for name, tensor in state.items():
        if tensor.ndim < 2 or not tensor.is_floating_point():
            assert torch.equal(tensor, own[name]) and tensor.dtype == own[name].dtype


def test_the_page_is_of_the_models_that_ship(monkeypatch):
    monkeypatch.setattr(zoo, "WEIGHTS", Path(zoo.__file__).parents[1] / "weights")
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.with_table(text) == text, "run python -m examples.zoo.page"
    total = sum(model.num_bytes for model in zoo.zoo_models().values())
    assert total <= program.LARGEST_ZOO
    for model in zoo.zoo_models().values():
        assert (model.folder / zoo.CARD).is_file()
        assert (
            model.folder / "model.safetensors"
        ).stat().st_size <= program.LARGEST_FILE
