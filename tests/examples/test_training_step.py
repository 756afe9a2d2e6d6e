# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import copy

import pytest
import torch
from accelerate import Accelerator
from examples.common.training_step import split_batch, sum_losses, TrainingStep
from torch import nn
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.modules.losses.identity_contrastive import (
    IdentityContrastiveLoss,
)
from torchmultimodal_reid.modules.losses.triplet import BatchHardTripletLoss


def make_batch(rows):
    image = torch.arange(rows * 6.0).reshape(rows, 6).sin()
    number = torch.arange(rows)
    return PersonBatch(
        image, None, None, number % 3, number, number, number, tuple("abcdefgh"[:rows])
    )


def classify(model, batch, step):
    return {"identity": nn.functional.cross_entropy(model(batch.image), batch.identity)}


def stepper(model, **options):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return TrainingStep(
        Accelerator(cpu=True), model, optimizer, {"identity": 1.0}, **options
    )


class TestAccumulation:
    @pytest.mark.parametrize("parts", [2, 4, 8])
    @pytest.mark.parametrize("clip", [0.0, 0.05])
    def test_equals_the_large_batch(self, parts, clip):
        torch.manual_seed(0)
        whole = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3))
        cut = copy.deepcopy(whole)
        one = stepper(whole, gradient_clip=clip)
        other = stepper(cut, gradient_clip=clip, accumulate=parts)
        for step in range(3):
            expected = one(make_batch(8), classify, step).logged
            logged = other(make_batch(8), classify, step).logged
            assert logged.keys() == expected.keys()
            for name, value in expected.items():
                torch.testing.assert_close(logged[name], value, rtol=0, atol=1e-5)
        for ours, theirs in zip(cut.parameters(), whole.parameters()):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)

    def test_losses_see_one_part_at_a_time(self):
        seen = []

        def look(model, batch, step):
            seen.append((batch.paths, batch.index.tolist(), batch.draw.tolist()))
            return classify(model, batch, step)

        stepper(nn.Linear(6, 3), accumulate=2)(make_batch(4), look, 0)
        assert seen == [(("a", "b"), [0, 1], [0, 1]), (("c", "d"), [2, 3], [2, 3])]

    def test_what_compares_samples_does_so_within_a_part(self):
        """Contrasts and batch-hard mining: the loss is the mean of those of the parts."""
        triplet, contrast = BatchHardTripletLoss(None), IdentityContrastiveLoss()

        def compare(model, batch, step):
            rows, people = model(batch.image), batch.identity // 2
            pairs = contrast(rows, rows.roll(1, dims=1), people, people, 5.0)
            return {"triplet": triplet(rows, people), "contrast": pairs}

        torch.manual_seed(0)
        model = nn.Linear(6, 4)
        before, batch = copy.deepcopy(model), make_batch(8)
        batch = batch._replace(identity=batch.index)  # persons 0 to 3, twice each
        parts = [compare(before, batch.part(i, i + 4), 0) for i in (0, 4)]
        expected = {name: (parts[0][name] + parts[1][name]) / 2 for name in parts[0]}
        gradients = torch.autograd.grad(sum(expected.values()), before.parameters())
        weights = {"triplet": 1.0, "contrast": 1.0}
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step = TrainingStep(
            Accelerator(cpu=True), model, optimizer, weights, accumulate=2
        )
        logged = step(batch, compare, 0).logged
        whole = compare(before, batch, 0)
        for name, value in expected.items():
            torch.testing.assert_close(logged[name], value)
            assert abs(whole[name] - value) > 1e-2
        for new, old, gradient in zip(
            model.parameters(), before.parameters(), gradients
        ):
            torch.testing.assert_close(new, old - 0.1 * gradient)

    def test_words_count_alike_in_whatever_part(self):
        """Where captions differ in length, the mean of the parts' means would not be the whole batch's."""
        words = torch.tensor([1, 5, 2, 2, 7, 1, 4, 6])

        def read(model, batch, step):
            loss = nn.functional.cross_entropy(
                model(batch.image), batch.identity, reduction="none"
            )
            count = words[batch.index]
            return {"words": (loss * count).sum() / count.sum(), "images": loss.mean()}

        def count_rows(batch, step):
            return {"words": words[batch.index].sum()}

        torch.manual_seed(0)
        start, weights = nn.Linear(6, 3), {"words": 1.0, "images": 1.0}
        ends = []
        for parts in (1, 2, 4, 8):
            model = copy.deepcopy(start)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            step = TrainingStep(
                Accelerator(cpu=True),
                model,
                optimizer,
                weights,
                accumulate=parts,
                count_rows=count_rows,
            )
            ends.append((step(make_batch(8), read, 0).logged, model.weight))
        for logged, weight in ends[1:]:
            torch.testing.assert_close(weight, ends[0][1])
            for name, value in ends[0][0].items():
                torch.testing.assert_close(logged[name], value)

    @pytest.mark.parametrize("rows, parts", [(4, 3), (2, 4)])
    def test_parts_that_do_not_divide_the_batch(self, rows, parts):
        with pytest.raises(
            ValueError, match=rf"accumulate is {parts}, but .* has {rows} samples"
        ):
            split_batch(make_batch(rows), parts)


class TestNotFinite:
    @pytest.mark.parametrize("parts", [1, 2])
    def test_nothing_of_the_model_changes(self, parts):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
        step = stepper(model, accumulate=parts)
        assert not step(make_batch(4), classify, 0).is_skipped
        before = copy.deepcopy(model.state_dict())
        bad = make_batch(4)
        # only the last of the parts
        bad.image[-1, 0] = float("nan")
        result = step(bad, classify, 1)
        assert result.is_skipped and not result.is_overflow
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name]), name
        # the bad gradient is gone, the momentum was not touched by it
        assert not step(make_batch(4), classify, 2).is_skipped
        assert all(value.isfinite().all() for value in model.state_dict().values())

    @pytest.mark.parametrize("scale, is_overflow", [(2.0**16, True), (1.0, False)])
    def test_scale_of_half_precision_is_lowered(self, scale, is_overflow):
        model = nn.Linear(6, 3)
        step = stepper(model)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        step.accelerator.scaler = scaler
        # as with fp16, which accelerate refuses on CPUs
        step.accelerator.unscale_gradients = lambda: scaler.unscale_(step.optimizer)

        def overflow(model, batch, step):
            loss = classify(model, batch, step)["identity"]
            # finite, but not its gradient
            return {"identity": loss + model.weight.sum().mul(0).sqrt()}

        result = step(make_batch(4), overflow, 0)
        assert result.is_skipped and result.is_overflow is is_overflow
        assert scaler.get_scale() == scale / 2


class Two:
    """An accelerator with a second process, which says what it was made with; it counts the exchanges."""

    num_processes = 2

    def __init__(self, *other):
        self.other, self.exchanges = other, 0
        self._one = Accelerator(cpu=True)

    def __getattr__(self, name):
        return getattr(self._one, name)

    def gather(self, own):
        self.exchanges += 1
        return torch.cat([own, torch.tensor([self.other])])


class TestSeveralProcesses:
    @pytest.mark.parametrize("loss, gradient", [(0, 0), (0, 1), (1, 1)])
    @pytest.mark.parametrize("own, other, highest", [(0, 0, 0), (2, 15, 15), (2, 0, 2)])
    def test_agree_in_one_exchange(self, loss, gradient, own, other, highest):
        model = nn.Linear(6, 3)
        before = model.weight.clone()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        two = Two(loss, gradient, other)
        weights = {"identity": 1.0}
        step = TrainingStep(two, model, optimizer, weights, stop_signal=lambda: own)
        result = step(make_batch(4), classify, 0)
        assert (result.is_skipped, result.stop_signal) == (bool(gradient), highest)
        assert torch.equal(model.weight, before) == bool(gradient)
        assert two.exchanges == 1

    @pytest.mark.parametrize("loss, is_overflow", [(0, True), (1, False)])
    def test_count_too_high_a_scale_alike(self, loss, is_overflow):
        """That of another process may be why the gradient of all is not finite, or its loss may be."""
        model = nn.Linear(6, 3)
        two = Two(loss, 1, 0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step = TrainingStep(two, model, optimizer, {"identity": 1.0})
        scaler = torch.amp.GradScaler("cpu")
        two._one.scaler = scaler
        two._one.unscale_gradients = lambda: scaler.unscale_(optimizer)
        result = step(make_batch(4), classify, 0)
        assert result.is_skipped and result.is_overflow is is_overflow

    def test_one_asks_nobody(self):
        model = nn.Linear(6, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        accelerator = Accelerator(cpu=True)
        accelerator.gather = None
        step = TrainingStep(
            accelerator, model, optimizer, {"identity": 1.0}, stop_signal=lambda: 15
        )
        assert step(make_batch(4), classify, 0).stop_signal == 15


class TestSum:
    def test_weights(self):
        losses = {
            "a": torch.tensor(2.0),
            "b": torch.tensor(3.0),
            "c": torch.tensor(float("nan")),
        }
        assert sum_losses(losses, {"a": 0.5, "b": 2.0, "c": 0.0, "d": 1.0}) == 7.0

    def test_without_a_weight(self):
        with pytest.raises(
            ValueError, match="losses b have no weight, expected one of each: a"
        ):
            sum_losses({"b": torch.tensor(1.0)}, {"a": 1.0})

    def test_none_left(self):
        with pytest.raises(
            ValueError, match="every loss of this batch has weight 0: a"
        ):
            sum_losses({"a": torch.tensor(1.0)}, {"a": 0.0})
