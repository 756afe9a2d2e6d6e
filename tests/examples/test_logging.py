# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json

import pytest
import torch
from examples.common.logging import METRICS_FILE, MetricsLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def lines(directory):
    return [json.loads(line) for line in (directory / METRICS_FILE).open()]


def train(directory, steps, *, num_steps=20, every=2, **options):
    with MetricsLogger(directory, num_steps, every=every, **options) as logger:
        for step in steps:
            logger.step(
                step,
                {"mim": torch.tensor(0.5 * step)},
                num_images=4,
                learning_rate=0.1,
            )


def test_one_line_each_so_many_steps_and_at_the_end(tmp_path):
    train(tmp_path, range(1, 6), num_steps=5)
    records = lines(tmp_path)
    assert [record["step"] for record in records] == [2, 4, 5]
    assert records[1]["train/mim"] == 2.0
    assert records[1]["train/learning_rate"] == 0.1
    assert records[1]["train/images_per_second"] > 0


def test_tensors_are_read_only_when_written(tmp_path):
    class Loss:
        read = 0

        def __float__(self):
            Loss.read += 1
            return 1.0

    with MetricsLogger(tmp_path, 10, every=5) as logger:
        for step in range(1, 11):
            logger.step(step, {"mim": Loss()}, num_images=1, learning_rate=0.1)
    assert Loss.read == 2


def test_images_per_second_over_the_steps_since_the_last_line(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("examples.common.logging.time.perf_counter", lambda: clock[0])
    with MetricsLogger(tmp_path, 6, every=2) as logger:
        for step in range(1, 7):
            clock[0] += 0.5
            logger.step(step, {}, num_images=8, learning_rate=0.1)
            if step == 4:
                clock[0] += 60.0  # an evaluation does not count as training
                logger.write(step, {"mAP": 0.25})
    rates = [
        r["train/images_per_second"]
        for r in lines(tmp_path)
        if "train/learning_rate" in r
    ]
    assert rates == pytest.approx([16.0, 16.0, 16.0])


def test_other_groups(tmp_path):
    with MetricsLogger(tmp_path, 10) as logger:
        logger.write(3, {"mAP": 0.25})
        logger.write(3, {"rank-1": 1}, group="target")
    assert lines(tmp_path) == [
        {"step": 3, "validation/mAP": 0.25},
        {"step": 3, "target/rank-1": 1.0},
    ]


def test_resume_cuts_what_came_after_the_checkpoint(tmp_path):
    train(tmp_path, range(1, 10))
    with (tmp_path / METRICS_FILE).open("a") as file:
        file.write('{"step": 9, "train/m')  # the process died while it wrote
    train(tmp_path, range(5, 9), resumed_step=4)
    assert [record["step"] for record in lines(tmp_path)] == [2, 4, 6, 8]


def test_resume_without_a_half_written_line_keeps_the_file_untouched(tmp_path):
    train(tmp_path, range(1, 5))
    before = (tmp_path / METRICS_FILE).read_bytes()
    inode = (tmp_path / METRICS_FILE).stat().st_ino
    train(tmp_path, [], resumed_step=4)
    assert (tmp_path / METRICS_FILE).read_bytes() == before
    assert (tmp_path / METRICS_FILE).stat().st_ino == inode


def test_fresh_run_starts_an_empty_file(tmp_path):
    train(tmp_path, range(1, 5))
    train(tmp_path, range(1, 3))
    assert [record["step"] for record in lines(tmp_path)] == [2]


def test_numbers_that_json_has_not(tmp_path):
    with MetricsLogger(tmp_path, 1) as logger:
        logger.write(1, {"a": float("nan"), "b": float("-inf")})
    record = lines(tmp_path)[0]
    assert record["validation/a"] == "nan"
    assert float(record["validation/b"]) == float("-inf")


def test_tensorboard_holds_the_same(tmp_path):
    train(tmp_path, range(1, 5))
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    events = [(event.step, event.value) for event in board.Scalars("train/mim")]
    assert events == [(2, 1.0), (4, 2.0)]


def test_console(tmp_path, capsys):
    with MetricsLogger(tmp_path, 4, every=2, description="pretrain") as logger:
        for step in range(1, 5):
            logger.step(step, {"mim": 0.12345}, num_images=4, learning_rate=0.02)
        logger.message("saved")
    text = capsys.readouterr().err
    assert "pretrain" in text and "4/4" in text and "saved" in text
    assert "mim=0.123" in text and "lr=0.02" in text and "images/s=" in text


def test_other_processes_write_nothing(tmp_path, capsys):
    with MetricsLogger(tmp_path, 4, every=1, is_main=False) as logger:
        logger.step(1, {"mim": 1.0}, num_images=4, learning_rate=0.1)
        logger.write(1, {"mAP": 1.0})
        logger.message("saved")
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_every_zero(tmp_path):
    with pytest.raises(ValueError, match="every must be >= 1, got 0"):
        MetricsLogger(tmp_path, 4, every=0)
