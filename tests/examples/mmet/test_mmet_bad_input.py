# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a user gets wrong is told in a line or two, with status 2, before anything is written."""

import json
import re
import shutil

import pytest
from torchmultimodal_reid.transforms.tokenizer import SPECIAL_TOKENS
from torchmultimodal_reid.utils.checkpoint import read_checkpoint, write_checkpoint


def assert_refused(outcome, expected, *unwritten):
    """The last line tells what is wrong, nothing was printed as a traceback, nothing was written."""
    assert outcome.status == 2, outcome.out + outcome.err
    assert "Traceback" not in outcome.err
    last = outcome.err.rstrip("\n").split("\n")[-1]
    assert last.startswith("error: ")
    assert re.search(expected, last), last
    assert len(last) < 1000
    for path in unwritten:
        assert not path.exists(), sorted(path.rglob("*"))


def first_image(root, part="bounding_box_train"):
    return sorted((root / part).glob("*.jpg"))[0]


def edit_captions(root, change):
    path = root / "captions.json"
    records = json.loads(path.read_text())
    change(records)
    path.write_text(json.dumps(records))


def drop_root(root):
    shutil.rmtree(root)


def empty_part(root):
    shutil.rmtree(root / "query")
    (root / "query").mkdir()


def drop_part(root):
    shutil.rmtree(root / "bounding_box_test")


def misname(root):
    first_image(root).rename(root / "bounding_box_train" / "person_on_a_bicycle.jpg")


def caption_without_image(root):
    first_image(root).unlink()


def image_without_caption(root):
    edit_captions(root, lambda records: records.pop())


def empty_caption(root):
    edit_captions(root, lambda records: records[3]["captions"].__setitem__(0, "  "))


def caption_of_no_word(root):
    records = json.loads((root / "captions.json").read_text())
    next(record for record in records if "train/" in record["file_path"])["captions"][
        :
    ] = ["\u200b"] * 2
    (root / "captions.json").write_text(json.dumps(records))


def broken_json(root):
    text = (root / "captions.json").read_text()
    (root / "captions.json").write_text(text[: len(text) // 2])


BAD_DATA = [
    (
        drop_root,
        r"the data set's root '.*data' is not a folder; expected one that holds bounding_box_train",
    ),
    (empty_part, r"query: no images; expected files such as 0002_c1s1_000551_01\.jpg"),
    (drop_part, r"folder bounding_box_test is missing"),
    (misname, r"person_on_a_bicycle\.jpg: the name does not say identity and camera"),
    (
        caption_without_image,
        r"1 of 56 captions are for images that are not there under .*: bounding_box_train/",
    ),
    (
        image_without_caption,
        r"1 of 56 images under .* have no caption: .*missing_captions='allow'",
    ),
    (empty_caption, r"captions\.json: record 3 .*: caption 0 is empty"),
    (broken_json, r"captions\.json: broken JSON at line \d+, column \d+"),
]


@pytest.mark.parametrize("recipe", ["pretrain", "finetune"])
@pytest.mark.parametrize(
    "spoil, expected", BAD_DATA, ids=[spoil.__name__ for spoil, _ in BAD_DATA]
)
def test_bad_data_set(recipe, spoil, expected, run, own_world, tmp_path, tools):
    spoil(own_world)
    outcome = run(recipe, tools.debug(recipe, own_world, tmp_path / "run"))
    assert_refused(outcome, expected, tmp_path / "run")


@pytest.mark.parametrize("recipe", ["pretrain", "finetune"])
def test_caption_without_a_word(recipe, run, own_world, tmp_path, tools):
    caption_of_no_word(own_world)
    arguments = tools.debug(
        recipe, own_world, tmp_path / "run", "data.validation_share=0"
    )
    assert_refused(
        run(recipe, arguments),
        r"\.jpg: the caption .* is empty; expected some words",
        tmp_path / "run",
    )


@pytest.mark.parametrize("recipe", ["pretrain", "finetune"])
def test_no_captions_at_all(recipe, run, own_world, tmp_path, tools):
    (own_world / "captions.json").unlink()
    outcome = run(recipe, tools.debug(recipe, own_world, tmp_path / "run"))
    assert_refused(
        outcome,
        "none of the .* images has a caption.* expected a captions.json",
        tmp_path / "run",
    )


def test_images_without_captions_are_allowed(run, own_world, tmp_path, tools, caplog):
    records = json.loads((own_world / "captions.json").read_text())
    records.sort(key=lambda record: "train/" not in record["file_path"])
    (own_world / "captions.json").write_text(json.dumps(records[3:]))
    more = ["data.missing_captions=allow", "loop.steps=1", "schedule.warmup_steps=0"]
    for recipe in ("pretrain", "finetune"):
        caplog.clear()
        outcome = run(recipe, tools.debug(recipe, own_world, tmp_path / recipe, *more))
        assert outcome.status == 0, outcome.err
        assert "3 of 56 images" in caplog.text and "bounding_box_train/" in caplog.text


class TestImagesThatCannotBeRead:
    """They are found when they are read; the run goes on once they were mended."""

    @pytest.mark.parametrize("workers", [0, 1])
    @pytest.mark.parametrize("is_cut", [True, False], ids=["cut short", "not an image"])
    def test_in_training(self, workers, is_cut, run, own_world, world, tmp_path, tools):
        output = tmp_path / "run"
        spoilt = sorted((own_world / "bounding_box_train").glob("*.jpg"))
        for path in spoilt:
            path.write_bytes(path.read_bytes()[:300] if is_cut else b"no image at all")
        more = [
            f"data.workers={workers}",
            "loop.steps=2",
            "schedule.warmup_steps=0",
            "data.validation_share=0",
        ]
        outcome = run("finetune", tools.debug("finetune", own_world, output, *more))
        expected = "cut short or damaged" if is_cut else "not an image"
        assert_refused(
            outcome,
            rf"bounding_box_train/.*\.jpg: .*{expected}.*go on with --resume {output}",
        )
        shutil.rmtree(own_world)
        shutil.copytree(world, own_world)
        outcome = run("finetune", ["--resume", str(output)])
        assert outcome.status == 0, outcome.err
        assert list(tools.metrics(output)) == [1, 2]

    @pytest.mark.parametrize("workers", [0, 1])
    def test_in_evaluation(self, workers, run, own_world, finetuned, tmp_path):
        path = first_image(own_world, "query")
        path.write_bytes(path.read_bytes()[:300])
        arguments = [
            f"checkpoint={finetuned / 'best'}",
            f"data.root={own_world}",
            f"output={tmp_path / 'e'}",
        ]
        outcome = run("evaluate", [*arguments, f"data.workers={workers}"])
        assert_refused(outcome, rf"{path.name}: .*cut short or damaged", tmp_path / "e")


@pytest.mark.parametrize(
    "recipe, more, expected",
    [
        ("pretrain", ["loop.accumulate=3"], "batch_size is 8: that does not divide"),
        (
            "pretrain",
            ["loop.accumulate=8", "images_per_identity=2"],
            "batch_size / images_per_identity is 4: that does not divide into 8 parts",
        ),
        # eight images would divide, but not four people of two
        ("finetune", ["loop.accumulate=8"], "identities_per_batch is 4: that does not"),
    ],
)
def test_parts_are_looked_at_before_any_data(
    recipe, more, expected, run, tmp_path, tools
):
    arguments = tools.debug(recipe, tmp_path / "nowhere", tmp_path / "run", *more)
    assert_refused(run(recipe, arguments), expected, tmp_path / "run")


BAD_ARGUMENTS = [
    ("pretrain", "optimiser.lr=1", r"unknown key optimiser\. Did you mean optimizer\?"),
    ("pretrain", "loop.step=3", r"unknown key loop\.step\. Did you mean loop\.steps\?"),
    (
        "pretrain",
        "losses.mmm_imag=1",
        r"unknown key losses\.mmm_imag\. Did you mean losses\.mmm_image\?",
    ),
    (
        "finetune",
        "losses.triplet=1",
        r"unknown key losses\.triplet\. Did you mean losses\.triplet_\w+\?",
    ),
    ("pretrain", "losses.gc=-1", r"losses\.gc must be a weight >= 0, got -1"),
    (
        "pretrain",
        "mixture.pairs=1",
        r"unknown key mixture\.pairs\. Did you mean mixture\.paired\?",
    ),
    (
        "pretrain",
        "losses.mim=0 losses.mmm_image=0",
        r"mixture\.image is 1\.0, but the losses of images alone",
    ),
    (
        "pretrain",
        "mixture.paired=0 mixture.image=0 mixture.text=0",
        "every weight of mixture is 0",
    ),
    (
        "pretrain",
        "model.builder=mmet_huge",
        r"model\.builder must be one of .*mmet_tiny.*, got 'mmet_huge'",
    ),
    (
        "pretrain",
        "image.size=[33,16]",
        "image_size 33x16 does not divide into patches of 8",
    ),
    (
        "finetune",
        "image.size=[32,20]",
        "image_size 32x20 does not divide into patches of 8",
    ),
    ("pretrain", "model.patch_size=0", r"model\.patch_size must be >= 1, got 0"),
    (
        "pretrain",
        "text.max_length=8 text.overflow=error",
        r"\.jpg: the caption .* has \d+ tokens, more than max_length 8",
    ),
    (
        "finetune",
        "text.max_length=8 text.overflow=error",
        r"\.jpg: the caption .* has \d+ tokens, more than max_length 8",
    ),
    ("pretrain", "text.vocabulary=nowhere.txt", "nowhere.txt"),
    (
        "finetune",
        "identities_per_batch=16",
        "a batch needs 16 identities, but there are only 8 in 32 images",
    ),
    (
        "finetune",
        "modalities=[pictures]",
        "modalities must be one of image, text, got 'pictures'",
    ),
    (
        "finetune",
        "modalities=[text] losses.identity_text=0",
        "modalities is text alone, but its losses identity_text and",
    ),
    (
        "finetune",
        "pretrained=examples",
        "examples is no checkpoint: expected examples/checkpoint.json",
    ),
    ("finetune", "margin=-1", r"margin must be >= 0"),
    ("pretrain", "loop.steps=0", r"loop\.steps must be >= 1, got 0"),
    ("pretrain", "loop.log_every=0", r"loop\.log_every must be >= 1, got 0"),
    ("pretrain", "loop.keep=0", r"loop\.keep must be >= 1, got 0"),
    ("pretrain", "schedule.warmup_steps=6", "warmup_steps must lie in 0 to 5"),
    (
        "pretrain",
        "optimizer.lr_multipliers.nose=2",
        "no trainable parameter begins with 'nose'",
    ),
    ("pretrain", "optimizer.name=rmsprop", "unknown optimizer 'rmsprop'"),
    ("pretrain", "masking.patch_ratio=[0.5,1.5]", "1.5"),
    ("pretrain", "data.workers=-1", r"data\.workers must be >= 0, got -1"),
    (
        "pretrain",
        "data.validation_share=1",
        r"data\.validation_share must be at least 0 and less than 1",
    ),
    (
        "pretrain",
        "precision=half",
        "precision must be one of no, bf16, fp16, got 'half'",
    ),
    ("pretrain", "batch_size=0", "batch_size must be >= 1, got 0"),
]


@pytest.mark.parametrize(
    "recipe, argument, expected",
    BAD_ARGUMENTS,
    ids=[argument for _, argument, _ in BAD_ARGUMENTS],
)
def test_bad_argument(recipe, argument, expected, run, world, tmp_path, tools):
    outcome = run(
        recipe, tools.debug(recipe, world, tmp_path / "run", *argument.split())
    )
    assert_refused(outcome, expected, tmp_path / "run")


def test_arguments_corrected(run, world, tmp_path, tools):
    arguments = tools.debug(
        "finetune", world, tmp_path / "run", "loop.steps=1", "schedule.warmup_steps=0"
    )
    assert run("finetune", [*arguments, "identities_per_batch=16"]).status == 2
    outcome = run("finetune", arguments)
    assert outcome.status == 0, outcome.err


class TestCheckpoints:
    """Of the model to fine-tune or to evaluate."""

    def finetune(self, run, tools, world, tmp_path, *more):
        return run("finetune", tools.debug("finetune", world, tmp_path / "run", *more))

    def test_cut_short(self, run, world, pretrained, tmp_path, tools):
        copy = shutil.copytree(pretrained / "best", tmp_path / "best")
        with open(copy / "model.safetensors", "r+b") as file:
            file.truncate(1000)
        outcome = self.finetune(run, tools, world, tmp_path, f"pretrained={copy}")
        assert_refused(
            outcome,
            r"model\.safetensors has 1000 bytes, expected \d+",
            tmp_path / "run",
        )
        arguments = [
            f"checkpoint={copy}",
            f"data.root={world}",
            f"output={tmp_path / 'e'}",
        ]
        assert_refused(run("evaluate", arguments), "has 1000 bytes", tmp_path / "e")

    def test_another_tokeniser_in_it(self, run, world, pretrained, tmp_path, tools):
        copy = shutil.copytree(pretrained / "best", tmp_path / "best")
        text = (copy / "tokenizer.json").read_text()
        (copy / "tokenizer.json").write_text(text.replace("[MASK]", "[KSAM]"))
        outcome = self.finetune(run, tools, world, tmp_path, f"pretrained={copy}")
        assert_refused(outcome, r"tokenizer\.json .* altered", tmp_path / "run")

    def test_tokeniser_of_another_model(self, run, world, pretrained, tmp_path, tools):
        vocabulary = tmp_path / "vocab.txt"
        vocabulary.write_text("\n".join([*SPECIAL_TOKENS, "person", "coat"]))
        more = [f"pretrained={pretrained / 'best'}", f"text.vocabulary={vocabulary}"]
        outcome = self.finetune(run, tools, world, tmp_path, *more)
        assert_refused(
            outcome,
            r"the tokeniser has 7 tokens, but the model of .* was trained with \d+",
            tmp_path / "run",
        )

    def test_of_another_model(self, run, world, pretrained, tmp_path, tools):
        saved = read_checkpoint(pretrained / "best")
        model = {**saved.metadata["model"], "builder": "mmet_small"}
        tokenizer = (saved.path / "tokenizer.json").read_bytes()
        write_checkpoint(
            tmp_path / "odd",
            saved.tensors,
            {"model": model},
            {"tokenizer.json": tokenizer},
        )
        outcome = self.finetune(
            run, tools, world, tmp_path, f"pretrained={tmp_path / 'odd'}"
        )
        assert_refused(
            outcome, "none of the .* tensors of .*odd fits MMET", tmp_path / "run"
        )

    def test_of_another_size(self, run, world, pretrained, tmp_path, tools):
        more = [f"pretrained={pretrained / 'best'}", "image.size=[48,24]"]
        outcome = self.finetune(run, tools, world, tmp_path, *more)
        assert_refused(
            outcome,
            r"image\.size is \(48, 24\), but .* was pretrained at \(32, 16\)",
            tmp_path / "run",
        )

    def test_pretrained_model_cannot_be_evaluated(
        self, run, world, pretrained, tmp_path
    ):
        arguments = [
            f"checkpoint={pretrained / 'best'}",
            f"data.root={world}",
            f"output={tmp_path / 'e'}",
        ]
        assert_refused(
            run("evaluate", arguments),
            "without a re-identification head; fine-tune it",
            tmp_path / "e",
        )


class TestEvaluation:
    def test_query_and_gallery_share_all_cameras(
        self, run, build_market, finetuned, tmp_path
    ):
        root = build_market(cameras=1)
        arguments = [
            f"checkpoint={finetuned / 'best'}",
            f"data.root={root}",
            f"output={tmp_path / 'e'}",
        ]
        assert_refused(
            run("evaluate", arguments),
            "query and gallery share all cameras",
            tmp_path / "e",
        )

    def test_output_is_a_file(self, run, world, finetuned, tmp_path):
        (tmp_path / "e").write_text("precious")
        arguments = [
            f"checkpoint={finetuned / 'best'}",
            f"data.root={world}",
            f"output={tmp_path / 'e'}",
        ]
        assert_refused(
            run("evaluate", arguments), "output must be a folder, but .* is a file"
        )
        assert (tmp_path / "e").read_text() == "precious"


def test_training_identities_of_one_camera(run, build_market, tmp_path, tools):
    root = build_market(cameras=1, train=12)
    outcome = run("finetune", tools.debug("finetune", root, tmp_path / "run"))
    assert_refused(outcome, "seen by two cameras", tmp_path / "run")


class TestOutput:
    def test_is_there_already(self, run, world, pretrained, tools):
        before = sorted(pretrained.rglob("*"))
        outcome = run("pretrain", tools.debug("pretrain", world, pretrained))
        assert_refused(
            outcome,
            rf"{pretrained} is there already\. Go on with it by --resume {pretrained}",
        )
        assert sorted(pretrained.rglob("*")) == before

    def test_nothing_to_resume(self, run, tmp_path):
        outcome = run("pretrain", ["--resume", str(tmp_path / "nowhere")])
        assert_refused(
            outcome, "expected a configuration at .*config.yaml", tmp_path / "nowhere"
        )

    def test_under_a_file(self, run, world, tmp_path, tools):
        (tmp_path / "file").write_text("")
        outcome = run(
            "pretrain", tools.debug("pretrain", world, tmp_path / "file" / "run")
        )
        assert_refused(outcome, "cannot be made: Not a directory")


def test_loss_that_is_not_finite(run, world, tmp_path, tools):
    more = [
        "optimizer.lr=1e30",
        "loop.gradient_clip=0",
        "schedule.warmup_steps=0",
        "loop.evaluate_every=0",
        "loop.max_skipped=3",
    ]
    outcome = run("pretrain", tools.debug("pretrain", world, tmp_path / "run", *more))
    assert_refused(
        outcome, r"not finite in 3 steps in a row, up to step \d .*Lower optimizer\.lr"
    )
    (names,) = (tmp_path / "run").glob("not_finite_step_*.json")
    assert "bounding_box_train" in names.read_text()
