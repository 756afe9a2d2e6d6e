# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math

import pytest
import torch
from examples.common.layer_decay import layer_decay_factors
from examples.common.optim import (
    build_optimizer,
    build_schedule,
    OptimizerConfig,
    parameter_groups,
    ScheduleConfig,
    set_learning_rate,
)
from torch import nn


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 2))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 3, 2))
        self.words = nn.Embedding(5, 2)
        self.layer = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
        self.norm = nn.LayerNorm(2)


@pytest.fixture
def model():
    model = nn.Module()
    model.encoder = Encoder()
    model.neck = nn.BatchNorm1d(2)
    model.head = nn.Linear(2, 4)
    return model


def by_name(model, groups):
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {names[p]: group for group in groups for p in group["params"]}


class TestGroups:
    def test_only_matrices_decay(self, model):
        groups = by_name(model, parameter_groups(model, lr=1.0, weight_decay=0.1))
        decayed = {name for name, group in groups.items() if group["weight_decay"]}
        assert decayed == {f"encoder.layer.{i}.weight" for i in range(3)} | {
            "head.weight"
        }
        assert len(groups) == len(list(model.parameters()))

    def test_embedding_tied_to_an_output_does_not_decay(self, model):
        model.head = nn.Linear(2, 5)
        model.head.weight = model.encoder.words.weight
        groups = parameter_groups(model, lr=1.0, weight_decay=0.1)
        group = next(
            g for g in groups if any(p is model.head.weight for p in g["params"])
        )
        assert group["weight_decay"] == 0.0
        assert sum(p is model.head.weight for g in groups for p in g["params"]) == 1

    def test_frozen_parameters_are_left_out(self, model):
        model.neck.bias.requires_grad_(False)
        groups = by_name(model, parameter_groups(model, lr=1.0, weight_decay=0.1))
        assert "neck.bias" not in groups and "neck.weight" in groups

    def test_multipliers_by_longest_prefix(self, model):
        multipliers = {"encoder.": 0.1, "encoder.layer.2": 0.5}
        groups = by_name(
            model,
            parameter_groups(
                model, lr=2.0, weight_decay=0.1, lr_multipliers=multipliers
            ),
        )
        assert groups["encoder.layer.1.weight"]["lr"] == pytest.approx(0.2)
        assert groups["encoder.layer.2.weight"]["lr"] == pytest.approx(1.0)
        assert groups["head.weight"]["base_lr"] == 2.0

    def test_prefix_of_nothing(self, model):
        expected = "no trainable parameter begins with 'encodr'; the nearest is 'encode"
        with pytest.raises(ValueError, match=expected):
            parameter_groups(
                model, lr=1.0, weight_decay=0.1, lr_multipliers={"encodr": 0.1}
            )

    def test_nothing_to_train(self):
        with pytest.raises(ValueError, match="Identity has no trainable parameter"):
            parameter_groups(nn.Identity(), lr=1.0, weight_decay=0.1)

    def test_layer_decay(self, model):
        groups = by_name(
            model, parameter_groups(model, lr=1.0, weight_decay=0.1, layer_decay=0.5)
        )
        rates = {name: group["lr"] for name, group in groups.items()}
        assert [rates[f"encoder.layer.{i}.weight"] for i in range(3)] == [
            0.125,
            0.25,
            0.5,
        ]
        assert rates["encoder.cls_token"] == rates["encoder.position_embeddings"]
        assert rates["encoder.cls_token"] == 0.0625
        assert rates["encoder.norm.weight"] == rates["head.weight"] == 1.0


def test_layer_decay_of_stacks_of_different_depth():
    names = [
        "m.image.embeddings.cls_token",
        *(f"m.image.encoder.layer.{i}.weight" for i in range(2)),
        "m.text.embeddings.words.weight",
        *(f"m.text.encoder.layer.{i}.weight" for i in range(4)),
        "m.text.norm.weight",
    ]
    factors = layer_decay_factors(names, 0.5)
    assert factors["m.image.encoder.layer.1.weight"] == 0.5
    assert factors["m.text.encoder.layer.3.weight"] == 0.5
    assert factors["m.image.embeddings.cls_token"] == 0.5**3
    assert factors["m.text.embeddings.words.weight"] == 0.5**5
    assert factors["m.text.norm.weight"] == 1.0


class TestOptimizer:
    def test_each_kind(self, model):
        adamw = build_optimizer(model, OptimizerConfig(betas=(0.5, 0.6), eps=1e-3))
        assert isinstance(adamw, torch.optim.AdamW)
        assert adamw.defaults["betas"] == (0.5, 0.6) and adamw.defaults["eps"] == 1e-3
        adam = build_optimizer(model, OptimizerConfig(name="adam", betas=(0.5, 0.6)))
        assert type(adam) is torch.optim.Adam and adam.defaults["betas"] == (0.5, 0.6)
        sgd = build_optimizer(model, OptimizerConfig(name="sgd", momentum=0.7))
        assert isinstance(sgd, torch.optim.SGD) and sgd.defaults["momentum"] == 0.7

    @pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
    def test_one_pass_computes_what_several_do(self, name):
        """Also where weights lie in memory channel by channel, which the kernels do not look at."""

        def trained(fused):
            torch.manual_seed(0)
            model = nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last)
            optimizer = build_optimizer(model, OptimizerConfig(name=name, lr=0.1))
            if not all(group["fused"] for group in optimizer.param_groups):
                pytest.skip("this torch has no such kernel for a CPU")
            for group in optimizer.param_groups:
                group["fused"] = fused
            image = torch.randn(2, 4, 8, 8).to(memory_format=torch.channels_last)
            for _ in range(3):
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16):
                    loss = model(image).float().square().mean()
                loss.backward()
                optimizer.step()
            return torch.cat([part.flatten() for part in model.parameters()])

        torch.testing.assert_close(trained(True), trained(False), rtol=0, atol=1e-4)

    @pytest.mark.parametrize("said", ["at once", "in the step"])
    def test_where_torch_has_no_such_kernel(self, model, monkeypatch, said):
        class Older(torch.optim.SGD):
            def __init__(self, groups, fused=False, **settings):
                if fused and said == "at once":
                    raise RuntimeError("`fused=True` requires ...")
                super().__init__(groups, **settings)
                self.fused = fused

            def step(self):
                if self.fused:
                    raise NotImplementedError("Could not run 'aten::_fused_sgd_'")

        monkeypatch.setattr(torch.optim, "SGD", Older)
        optimizer = build_optimizer(model, OptimizerConfig(name="sgd", momentum=0.5))
        assert type(optimizer) is Older
        assert {group["momentum"] for group in optimizer.param_groups} == {0.5}
        optimizer.step()

    def test_unknown(self, model):
        with pytest.raises(ValueError, match="unknown optimizer 'rmsprop'"):
            build_optimizer(model, OptimizerConfig(name="rmsprop"))

    def test_learning_rates_keep_their_proportions(self, model):
        config = OptimizerConfig(lr=1.0, lr_multipliers={"head": 0.5})
        optimizer = build_optimizer(model, config)
        for factor in (0.1, 0.3):  # the second does not build on the first
            assert set_learning_rate(optimizer, factor) == pytest.approx(factor)
        rates = {
            name: g["lr"] for name, g in by_name(model, optimizer.param_groups).items()
        }
        assert rates["head.weight"] == pytest.approx(0.15)


class TestSchedule:
    def test_cosine_after_warmup(self):
        config = ScheduleConfig(warmup_steps=10, warmup_factor=0.0, end_factor=0.2)
        schedule = build_schedule(config, 110)
        assert [schedule(step) for step in (0, 5, 10)] == pytest.approx([0.0, 0.5, 1.0])
        for step in (35, 60, 85):
            cosine = math.cos(math.pi * (step - 10) / 100)
            assert schedule(step) == pytest.approx(0.2 + 0.8 * (1 + cosine) / 2)
        assert schedule(110) == pytest.approx(0.2)

    def test_multistep_counts_steps_of_the_whole_run(self):
        config = ScheduleConfig(
            "multistep", warmup_steps=10, warmup_factor=0.5, milestones=(40, 70)
        )
        schedule = build_schedule(config, 100)
        steps = (0, 5, 10, 39, 40, 69, 70, 99, 100)
        expected = [0.5, 0.75, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01]
        assert [schedule(step) for step in steps] == pytest.approx(expected)

    def test_constant(self):
        schedule = build_schedule(ScheduleConfig("constant"), 3)
        assert [schedule(step) for step in range(4)] == [1.0] * 4

    @pytest.mark.parametrize("num_steps", [7, 1000, 450_000])
    def test_warmup_ends_at_its_step(self, num_steps):
        config = ScheduleConfig("constant", warmup_steps=5, warmup_factor=0.0)
        schedule = build_schedule(config, num_steps)
        factors = [schedule(step) for step in range(7)]
        assert factors == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1, 1])

    def test_one_step(self):
        assert build_schedule(ScheduleConfig(), 1)(0) == 1.0

    @pytest.mark.parametrize(
        "config, message",
        [
            (ScheduleConfig("linear"), "unknown schedule 'linear'"),
            (ScheduleConfig(warmup_steps=10), "lie in 0 to 9.*got 10"),
            (ScheduleConfig(warmup_steps=-1), "lie in 0 to 9.*got -1"),
            (ScheduleConfig("multistep"), r"lie in 1 to 9, got \[\]"),
            (ScheduleConfig("multistep", milestones=(5, 3)), r"got \[5, 3\]"),
            (ScheduleConfig("multistep", milestones=(5, 10)), r"got \[5, 10\]"),
        ],
    )
    def test_refusals(self, config, message):
        with pytest.raises(ValueError, match=message):
            build_schedule(config, 10)

    def test_step_outside_the_run(self):
        schedule = build_schedule(ScheduleConfig(), 10)
        with pytest.raises(ValueError, match="step must lie in 0 to 10, got 11"):
            schedule(11)
