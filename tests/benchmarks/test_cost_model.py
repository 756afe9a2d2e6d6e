# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What docs/scaling.md says of costs follows from what was counted and from the assumptions that it names."""

import math
import re
import shlex
from pathlib import Path

import pytest
import torch
from benchmarks.cost_estimate import Assumed, Count, estimate, Plan, plans
from benchmarks.cost_model import (
    assumptions_table,
    costs_table,
    counts_table,
    published,
    room_table,
)
from benchmarks.training_loads import kept_bytes, Load, multiply_adds, operations
from examples.common.checks import check_shares
from examples.common.config import load_config
from examples.mmet.definitions import PretrainConfig
from examples.vtbr.pretrain_definitions import VTBRPretrainConfig
from torch import nn
from torchmultimodal_reid.data.collate import PersonBatch

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
RECIPES = {"mmet.pretrain": PretrainConfig, "vtbr.pretrain": VTBRPretrainConfig}
EASY = Assumed(
    peak=1e3, utilisation=0.6, memory=1e6, traffic=1e5, inside=100.0, between=10.0
)
# of 1,000 weights; a step takes 6 * 100 operations a sample
ONE = Count("toy", "paired", 1000, 100, 1000, 7, 3)


def toy_load():
    """Eight numbers to four, and the mean of their squares."""

    def make_batch(count):
        rows = torch.arange(count)
        return PersonBatch(torch.ones(count, 8), None, None, rows, rows, rows)

    return Load(
        nn.Linear(8, 4),
        lambda batch: {"input": batch.image},
        lambda model, batch, step: {"size": model(batch.image).square().mean()},
        {"size": 1.0},
        make_batch,
    )


class TestCounts:
    def test_multiply_adds_of_a_sample(self):
        assert multiply_adds(toy_load()) == multiply_adds(toy_load(), 5) == 8 * 4

    def test_kept_are_what_the_gradients_need(self):
        # in bfloat16: the input, and what is squared; not the weights
        assert kept_bytes(toy_load()) == 2 * 8 + 2 * 4

    def test_operations_are_as_many_for_any_batch(self):
        assert operations(toy_load()) == operations(toy_load(), 50) > 5


class TestEstimate:
    def test_one_gpu_that_computes_longer_than_it_is_told_to(self):
        cost = estimate([ONE], Plan(1, 4, 10), EASY._replace(start=1e-3))
        assert cost.compute == pytest.approx(6 * 100 * 4 / 600)
        assert cost.start == pytest.approx(1.0) and cost.exchange == 0
        assert cost.optimizer == pytest.approx(40 * 1000 / 1e5)
        assert cost.step == pytest.approx(cost.compute + cost.optimizer)
        assert cost.memory == 16 * 1000 + 4 * 7

    def test_one_that_waits_to_be_told(self):
        cost = estimate([ONE], Plan(1, 4, 10), EASY._replace(start=8e-3))
        assert cost.step == pytest.approx(8 + 0.4)

    def test_several_in_a_machine_and_over_machines(self):
        two = estimate([ONE], Plan(2, 4, 10), EASY._replace(start=0.0))
        assert two.exchanged == 2 * 4000 / 2
        assert two.exchange == pytest.approx(4000 / 100)
        # a third of the computing, then the exchange, which outlasts the rest
        assert two.step == pytest.approx(2 / 3 + 40 + 0.4)
        assert two.memory == 20 * 1000 + 2 * 7
        many = estimate([ONE], Plan(16, 16, 10), EASY)
        assert many.exchange == pytest.approx(2 * 15 / 16 * 4000 / 10)

    def test_kinds_are_drawn_equally_often(self):
        other = ONE._replace(multiply_adds=300, operations=3000, kept=9)
        cost = estimate([ONE, other], Plan(1, 1, 10), EASY._replace(start=1e-6))
        assert cost.compute == pytest.approx(6 * 200 / 600)
        assert cost.start == pytest.approx(2e-3)
        assert cost.memory == 16 * 1000 + 9

    def test_plans(self):
        assert plans(128, 10) == [Plan(1, 128, 10), Plan(8, 128, 10), Plan(64, 128, 10)]
        assert plans(16, 640) == [
            Plan(1, 16, 640),
            Plan(8, 16, 640),
            Plan(8, 128, 80),
            Plan(64, 1024, 10),
            Plan(8, 128, 640),
            Plan(64, 1024, 640),
        ]


@pytest.fixture(scope="module")
def trainings():
    return published()


class TestPage:
    @pytest.fixture
    def page(self):
        return PAGE.read_text(encoding="utf-8")

    @pytest.fixture
    def counts(self, page):
        row = re.compile(r"^\| (MMET, \w+|VTBR) +\| (\w+) +\|([\d,| ]+)\|$", re.M)
        return [
            Count(name, kind, *(int(part.replace(",", "")) for part in rest.split("|")))
            for name, kind, rest in row.findall(page)
        ]

    def test_tables_follow_from_what_was_counted(self, page, counts, trainings):
        assert len(counts) == 7
        assumed = Assumed()
        assert counts_table(counts) in page
        assert assumptions_table(assumed) in page
        assert costs_table(counts, trainings, assumed) in page
        assert room_table(counts, assumed) in page

    def test_commands_are_those_of_the_recipes(self, page, trainings):
        lines = page.replace("\\\n", " ").splitlines()
        found = [line for line in lines if re.search(r" -m examples\.", line)]
        assert len(found) == 7
        for line in found:
            launcher, arguments = line.split(" -m examples.")
            recipe, *arguments = shlex.split(arguments)
            config, _ = load_config(RECIPES[recipe], arguments)
            numbers = re.findall(
                r"--(?:nnodes|nproc-per-node|num_processes) (\d+)", launcher
            )
            world_size = math.prod(map(int, numbers))
            check_shares(*config.shared_out, world_size, config.loop.accumulate)
            # what the tables have is what is trained
            plan = Plan(world_size, config.batch_size, config.loop.steps)
            known = trainings["VTBR" if "vtbr" in recipe else "MMET, drop"]
            assert plan in plans(known.batch, known.steps), line

    def test_text_has_no_number_that_no_table_has(self, page):
        number = re.compile(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")
        text = re.sub(r"^```.*?^```|`[^`]*`|\]\([^)]*\)", "", page, flags=re.M | re.S)
        lines = text.splitlines()
        tables = "\n".join(line for line in lines if line.startswith("|"))
        prose = "\n".join(line for line in lines if not line.startswith("|"))
        assert set(number.findall(prose)) <= set(number.findall(tables))
