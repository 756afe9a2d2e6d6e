# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Two processes do what one does with the whole batch."""

import json
import signal
import socket

import pytest
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.shards.writer import write_shards
from torchmultimodal_reid.utils.step_checkpoints import step_checkpoints


@pytest.fixture
def start_two(start):
    """Starts a recipe in two processes that talk over gloo, as torchrun would."""

    def start_two(recipe, arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        shared = {
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        return [
            start(recipe, arguments, {**shared, "RANK": rank, "LOCAL_RANK": rank})
            for rank in "01"
        ]

    return start_two


def first_step(directory):
    with open(directory / "metrics.jsonl") as file:
        record = json.loads(file.readline())
    assert record["step"] == 1
    return {
        name: value
        for name, value in record.items()
        if name.startswith("train/") and "per_second" not in name
    }


@pytest.mark.slow
def test_finetuning_begins_as_with_one_process(
    start_two, run, world, pretrained, tmp_path, tools
):
    output = tmp_path / "two"
    # stochastic depth is drawn by each process for itself
    more = [f"pretrained={pretrained / 'best'}", "loop.steps=3", "model.drop_path=null"]
    processes = start_two("finetune", tools.debug("finetune", world, output, *more))
    assert [process.join() for process in processes] == [0, 0], (
        processes[0].text + processes[1].text
    )
    assert (
        run("finetune", tools.debug("finetune", world, tmp_path / "one", *more)).status
        == 0
    )
    alone, together = first_step(tmp_path / "one"), first_step(output)
    assert {
        "train/identity_fused",
        "train/triplet_fused",
        "train/triplet_cross",
    } <= set(alone)
    # the gradient's norm is among them: the processes' mean gradient is that of the whole batch
    for name, value in alone.items():
        assert together[name] == pytest.approx(value, rel=1e-4), name
    assert list(tools.metrics(output)) == [1, 2, 3]
    assert processes[1].text == ""


@pytest.mark.slow
def test_pretraining_of_a_mixture(start_two, world, tmp_path, tools):
    output = tmp_path / "run"
    processes = start_two("pretrain", tools.debug("pretrain", world, output))
    assert [process.join() for process in processes] == [0, 0], (
        processes[0].text + processes[1].text
    )
    assert list(tools.metrics(output)) == [1, 2, 3, 4, 5, 6]
    assert (output / "reconstruction.png").exists()


@pytest.mark.slow
def test_pretraining_from_shards_begins_as_with_one_process(
    start_two, run, world, tmp_path, tools
):
    pytest.importorskip("webdataset")
    shards = str(tmp_path / "shards")
    write_shards(market1501(str(world)), shards, shard_size=9, parts=["train"])
    # dropout and the wrong captions of image-text matching are each process's own
    more = f"data.root= data.shards={shards} data.validation_share=0 loop.steps=3 model.drop_path=null losses.itm=0"
    processes = start_two(
        "pretrain", tools.debug("pretrain", world, tmp_path / "two", *more.split())
    )
    assert [process.join() for process in processes] == [0, 0], (
        processes[0].text + processes[1].text
    )
    arguments = tools.debug("pretrain", world, tmp_path / "one", *more.split())
    assert run("pretrain", arguments).status == 0
    alone, together = first_step(tmp_path / "one"), first_step(tmp_path / "two")
    assert alone.keys() == together.keys()
    for name, value in alone.items():
        assert together[name] == pytest.approx(value, rel=1e-4), name
    assert list(tools.metrics(tmp_path / "two")) == [1, 2, 3]


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both(start_two, world, tmp_path, tools):
    output = tmp_path / "run"
    more = ["loop.steps=5000", "loop.checkpoint_every=0", "loop.evaluate_every=0"]
    processes = start_two("pretrain", tools.debug("pretrain", world, output, *more))
    assert processes[0].wait_until(lambda: len(tools.metrics(output)) >= 1), processes[
        0
    ].text
    processes[1].send(signal.SIGTERM)
    assert [process.join() for process in processes] == [0, 0], (
        processes[0].text + processes[1].text
    )
    step, _ = step_checkpoints(output / "checkpoints")[-1]
    assert f"stopped after step {step}, which is saved" in processes[0].text


@pytest.mark.slow
def test_evaluation_gives_the_same_table(start_two, run, world, finetuned, tmp_path):
    arguments = [
        f"checkpoint={finetuned / 'best'}",
        f"data.root={world}",
        "figures=false",
    ]
    processes = start_two("evaluate", [*arguments, f"output={tmp_path / 'two'}"])
    assert [process.join() for process in processes] == [0, 0], (
        processes[0].text + processes[1].text
    )
    assert run("evaluate", [*arguments, f"output={tmp_path / 'one'}"]).status == 0
    one, two = (
        json.loads((tmp_path / name / "results.json").read_text())
        for name in ("one", "two")
    )
    assert one["results"] == two["results"] and one["counts"] == two["counts"]
