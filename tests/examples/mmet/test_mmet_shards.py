# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""MMET's pretraining out of tar shards: as out of folders, in an order of its own."""

import json
import os
import re
import shutil
import signal

import pytest
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.shards.index import read_index
from torchmultimodal_reid.data.shards.writer import write_shards
from torchmultimodal_reid.transforms.tokenizer import SPECIAL_TOKENS
from torchmultimodal_reid.utils.step_checkpoints import step_checkpoints

pytest.importorskip("webdataset")


@pytest.fixture(scope="module")
def shards(world, tmp_path_factory):
    """The 40 training images of the world in shards of 9. Do not change them."""
    out = tmp_path_factory.mktemp("shards") / "shards"
    write_shards(market1501(str(world)), str(out), shard_size=9, parts=["train"])
    return out


@pytest.fixture
def own_shards(shards, tmp_path):
    """A copy of them, to be spoilt."""
    return shutil.copytree(shards, tmp_path / "shards")


@pytest.fixture
def debug(tools):
    """The arguments of a pretraining that goes through the shards more than once."""

    def debug(shards, output, *more):
        config = ["--config", str(tools.configs / "debug_pretrain.yaml")]
        keys = ["data.validation_share=0", "batch_size=16", "loop.steps=5"]
        return [*config, *keys, f"data.shards={shards}", f"output={output}", *more]

    return debug


@pytest.fixture(scope="module")
def streamed(shards, tmp_path_factory):
    """A finished run, never stopped. Do not change it."""
    from examples.mmet.pretrain import main

    output = tmp_path_factory.mktemp("streamed") / "run"
    configs = os.path.join(os.path.dirname(main.__code__.co_filename), "configs")
    keys = "data.validation_share=0 batch_size=16 loop.steps=5".split()
    config = ["--config", f"{configs}/debug_pretrain.yaml", *keys]
    main([*config, f"data.shards={shards}", f"output={output}"])
    yield output
    shutil.rmtree(output)


def assert_same_end(run, reference, tools):
    end, expected = (
        step_checkpoints(path / "checkpoints")[-1] for path in (run, reference)
    )
    assert end[0] == expected[0] == 5
    for name in ("model.safetensors", "optimizer.safetensors", "tokenizer.json"):
        assert (end[1] / name).read_bytes() == (expected[1] / name).read_bytes(), name
    for key in ("train/loss", "train/gradient_norm"):
        assert tools.metrics(run, key) == tools.metrics(reference, key)


class TestRun:
    def test_leaves_a_model_and_its_picture(self, streamed, tools):
        assert list(tools.metrics(streamed)) == [1, 2, 3, 4, 5]
        assert not tools.metrics(streamed, "validation/selection")
        assert (streamed / "reconstruction.png").exists()

    def test_tokeniser_is_that_of_the_folder(
        self, streamed, run, world, tmp_path, tools
    ):
        output = tmp_path / "run"
        more = "data.validation_share=0 loop.steps=1 schedule.warmup_steps=0".split()
        assert (
            run("pretrain", tools.debug("pretrain", world, output, *more)).status == 0
        )
        file = "tokenizer.json"
        assert (
            step_checkpoints(output / "checkpoints")[-1][1] / file
        ).read_bytes() == (
            step_checkpoints(streamed / "checkpoints")[-1][1] / file
        ).read_bytes()

    def test_two_workers_change_nothing(
        self, streamed, run, shards, tmp_path, debug, tools
    ):
        outcome = run("pretrain", debug(shards, tmp_path / "run", "data.workers=2"))
        assert outcome.status == 0, outcome.err
        assert_same_end(tmp_path / "run", streamed, tools)

    def test_going_on_reads_no_captions(
        self, streamed, run, own_shards, tmp_path, tools
    ):
        copy = shutil.copytree(streamed, tmp_path / "run")
        shutil.rmtree(copy / "checkpoints" / "step_00000005")
        # of the same size: only who reads it notices
        with open(own_shards / "train.records.jsonl", "r+b") as file:
            file.write(b"[")
        more = [f"data.shards={own_shards}", "data.workers=1"]
        outcome = run("pretrain", ["--resume", str(copy), *more])
        assert outcome.status == 0, outcome.err
        assert_same_end(copy, streamed, tools)

    @pytest.mark.slow
    def test_killed(self, streamed, start, shards, tmp_path, debug, tools):
        output = tmp_path / "run"
        more = ["data.workers=1", "loop.checkpoint_every=1"]
        process = start("pretrain", debug(shards, output, *more))
        assert process.wait_until(lambda: len(tools.metrics(output)) >= 2), process.text
        process.send(signal.SIGKILL)
        assert process.join() in (0, -signal.SIGKILL), process.text
        process = start("pretrain", ["--resume", str(output)])
        assert process.join() == 0, process.text
        assert_same_end(output, streamed, tools)

    def test_images_alone_need_no_captions(self, run, own_world, tmp_path, debug):
        (own_world / "captions.json").unlink()
        write_shards(market1501(str(own_world)), str(tmp_path / "bare"))
        vocabulary = tmp_path / "vocab.txt"
        vocabulary.write_text("\n".join([*SPECIAL_TOKENS, "person", "coat"]))
        more = ["mixture.paired=0", "mixture.text=0", f"text.vocabulary={vocabulary}"]
        outcome = run("pretrain", debug(tmp_path / "bare", tmp_path / "run", *more))
        assert outcome.status == 0, outcome.err


class TestBrokenImages:
    @pytest.fixture
    def broken(self, own_world, tmp_path):
        """Shards with two images that cannot be decoded."""
        split = market1501(str(own_world))
        for image in split.train[3:5]:
            open(image.path, "w").close()
        write_shards(split, str(tmp_path / "broken"), shard_size=9, parts=["train"])
        return tmp_path / "broken", [image.path for image in split.train[3:5]]

    @pytest.mark.parametrize("workers", [0, 2])
    def test_others_of_the_shard_take_their_places(
        self, workers, broken, run, tmp_path, debug
    ):
        folder, paths = broken
        more = ["data.max_unreadable=2", f"data.workers={workers}", "loop.steps=10"]
        outcome = run("pretrain", debug(folder, tmp_path / "run", *more))
        assert outcome.status == 0, outcome.err
        told = "not an image, or of a format that PIL does not know. In its place comes another image of the same shard"
        assert outcome.err.count(told) == 2
        for path in paths:
            assert f"{path} in train-0" in outcome.err
        assert "2 images could not be read, and another image of the same shard" in (
            outcome.err
        )

    def test_too_many(self, broken, run, tmp_path, debug):
        more = ["data.max_unreadable=1", "loop.steps=10"]
        outcome = run("pretrain", debug(broken[0], tmp_path / "run", *more))
        assert outcome.status == 2
        assert "2 images could not be read, more than data.max_unreadable 1" in (
            outcome.err
        )


def assert_refused(outcome, expected, *unwritten):
    assert outcome.status == 2, outcome.out + outcome.err
    assert "Traceback" not in outcome.err
    last = outcome.err.rstrip("\n").split("\n")[-1]
    assert last.startswith("error: ") and re.search(expected, last), last
    assert not any(path.exists() for path in unwritten)


def edit_index(folder, change):
    content = json.loads((folder / "index.json").read_text())
    change(content)
    (folder / "index.json").write_text(json.dumps(content))


def drop_folder(folder):
    shutil.rmtree(folder)


def drop_shard(folder):
    (folder / "train-000002.tar").unlink()


def cut_shard(folder):
    os.truncate(folder / "train-000002.tar", 5000)


def cut_table(folder):
    os.truncate(folder / "train.table", 28)


def change_records(folder):
    with open(folder / "train.records.jsonl", "r+b") as file:
        file.write(b"[")


def newer_version(folder):
    name = "torchmultimodal_reid shards"
    edit_index(folder, lambda content: content.update(format=f"{name} 9"))


def no_training_part(folder):
    edit_index(
        folder,
        lambda content: content.update(parts={"query": content["parts"]["train"]}),
    )


def no_index(folder):
    (folder / "index.json").unlink()


SPOILT = [
    (drop_folder, r"no index\.json; expected a folder that python -m torchm"),
    (no_index, r"no index\.json; expected a folder that python -m torchm"),
    (drop_shard, r"train-000002\.tar: cannot be read \(No such file"),
    (
        cut_shard,
        r"train-000002\.tar: has 5000 bytes, its index says \d+; it is cut short",
    ),
    (cut_table, r"train\.table: has 28 bytes, its index says"),
    (change_records, r"train\.records\.jsonl: its sha256 is not that of the index"),
    (
        newer_version,
        "shards of format 9 were written by a newer version of this library",
    ),
    (no_training_part, "has no part 'train'; it has query"),
]


class TestRefused:
    @pytest.mark.parametrize(
        "spoil, expected", SPOILT, ids=[spoil.__name__ for spoil, _ in SPOILT]
    )
    def test_spoilt_shards(self, spoil, expected, run, own_shards, tmp_path, debug):
        spoil(own_shards)
        outcome = run("pretrain", debug(own_shards, tmp_path / "run"))
        assert_refused(outcome, expected, tmp_path / "run")

    @pytest.mark.parametrize("workers", [0, 1])
    def test_a_shard_that_was_damaged(self, workers, run, own_shards, tmp_path, debug):
        shard = read_index(str(own_shards)).parts["train"].shards[1]
        with open(own_shards / shard.file, "r+b") as file:
            file.seek(1024)
            file.write(bytes(shard.num_bytes - 2048))
        outcome = run(
            "pretrain", debug(own_shards, tmp_path / "run", f"data.workers={workers}")
        )
        assert_refused(
            outcome,
            rf"{shard.file}: sample \d of the shard is damaged or was changed, its checksum.*go on with --resume",
        )

    def test_shards_without_captions(self, run, own_world, tmp_path, debug):
        (own_world / "captions.json").unlink()
        write_shards(market1501(str(own_world)), str(tmp_path / "bare"))
        arguments = debug(tmp_path / "bare", tmp_path / "run")
        expected = "none of the 40 images has a caption to train a tokeniser on; expected shards of a data set with cap"
        assert_refused(run("pretrain", arguments), expected, tmp_path / "run")

    def test_shards_with_some_captions(self, run, own_world, tmp_path, debug):
        split = market1501(str(own_world))
        bare = split.train[0]._replace(captions=())
        split = split._replace(train=(bare, *split.train[1:]))
        write_shards(split, str(tmp_path / "some"), parts=["train"])
        arguments = debug(tmp_path / "some", tmp_path / "run")
        expected = "some images of 'train' in .*some have none; write the shards again with --captioned"
        assert_refused(run("pretrain", arguments), expected, tmp_path / "run")

    def test_a_caption_without_a_word(self, run, own_world, tmp_path, debug):
        split = market1501(str(own_world))
        bad = split.train[0]._replace(captions=("\u200b",))
        split = split._replace(train=(bad, *split.train[1:]))
        write_shards(split, str(tmp_path / "bad"), parts=["train"])
        arguments = debug(tmp_path / "bad", tmp_path / "run")
        expected = r"\.jpg: the caption .* is empty; expected some words"
        assert_refused(run("pretrain", arguments), expected, tmp_path / "run")

    @pytest.mark.parametrize(
        "more, expected",
        [
            (
                ["data.validation_share=0.1"],
                r"data\.validation_share is 0\.1, but nothing can be held out of data\.shards; give data\.valid",
            ),
            (
                ["data.root=r"],
                r"data\.root is 'r', but data\.shards takes all that was",
            ),
            (
                ["data.identity_share=0.5"],
                r"data\.identity_share is 0\.5, but data\.sh",
            ),
            (["data.cache=true"], r"data\.cache is True, but data\.shards takes all"),
            (["data.protocol=P1"], r"data\.protocol is 'P1', but data\.shards takes"),
            (
                ["images_per_identity=2"],
                r"images_per_identity is 2, but batches out of data\.shards are random; give images_per_identity=null",
            ),
        ],
    )
    def test_keys_that_do_not_go_together(
        self, more, expected, run, shards, tmp_path, debug
    ):
        arguments = debug(shards, tmp_path / "run", *more)
        assert_refused(run("pretrain", arguments), expected, tmp_path / "run")

    def test_other_shards_than_those_it_was_begun_with(
        self, run, streamed, world, tmp_path
    ):
        copy = shutil.copytree(streamed, tmp_path / "run")
        other = tmp_path / "other"
        write_shards(market1501(str(world)), str(other), shard_size=8, parts=["train"])
        before = (copy / "run.json").read_bytes()
        expected = "the run drew its samples from other shards, or from a folder; resume it with what it was begun with"
        for keys in (
            [f"data.shards={other}"],
            ["data.shards=null", f"data.root={world}"],
        ):
            outcome = run("pretrain", ["--resume", str(copy), "loop.steps=6", *keys])
            assert_refused(outcome, expected)
        assert (copy / "run.json").read_bytes() == before

    @pytest.mark.parametrize("recipe", ["finetune", "evaluate"])
    def test_recipes_that_need_a_folder(
        self, recipe, run, shards, pretrained, finetuned, tmp_path
    ):
        key = {
            "finetune": f"pretrained={pretrained / 'best'}",
            "evaluate": f"checkpoint={finetuned / 'best'}",
        }[recipe]
        output = tmp_path / "run"
        outcome = run(recipe, [key, f"data.shards={shards}", f"output={output}"])
        expected = r"data\.shards is .*, but shards are for pretraining alone: .*; give data\.root, the folder that the"
        assert_refused(outcome, expected, output)
