# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from collections import Counter

import pytest
from torchmultimodal_reid.data.dataset import SampleKey
from torchmultimodal_reid.data.mixture import MixtureSampler
from torchmultimodal_reid.data.samplers import ShuffleSampler


class Counting:
    """Gives its name and the number of the batch it was asked for."""

    def __init__(self, name, batches_per_epoch=1):
        self.name = name
        self.batches_per_epoch = batches_per_epoch

    def batch(self, step):
        return [SampleKey(self.name, step)]


def test_each_source_goes_on_at_its_own_pace():
    mixture = MixtureSampler(
        [Counting(10), Counting(20), Counting(30)], [1, 1, 1], 60, 0
    )
    seen = Counter()
    for step in range(60):
        ((name, number, source),) = mixture.batch(step)
        assert name == 10 * (source + 1)
        assert number == seen[name]
        seen[name] += 1
    assert set(seen) == {10, 20, 30}


def test_a_batch_has_one_source():
    samplers = [ShuffleSampler(20, 5, seed=s) for s in range(2)]
    mixture = MixtureSampler(samplers, [1, 1], 30, seed=1)
    for step in range(30):
        assert len({key.source for key in mixture.batch(step)}) == 1


def test_weights_are_shares():
    mixture = MixtureSampler([Counting(n) for n in range(3)], [3, 0, 1], 4000, seed=0)
    counts = Counter(mixture.sources)
    assert counts[1] == 0
    # four standard deviations of the count are 110
    assert abs(counts[0] - 3000) < 110


def test_batch_depends_on_the_step_alone():
    def make():
        samplers = [ShuffleSampler(7, 3, seed=s) for s in range(2)]
        return MixtureSampler(samplers, [1, 2], 40, seed=2)

    first, second = make(), make()
    forward = [first.batch(step) for step in range(40)]
    assert [second.batch(step) for step in reversed(range(40))] == forward[::-1]


@pytest.mark.parametrize("num_steps", [1, 5, 17, 64])
def test_a_longer_run_begins_the_same(num_steps):
    samplers = [Counting(0), Counting(1)]
    short = MixtureSampler(samplers, [1, 1], num_steps, seed=0)
    long = MixtureSampler(samplers, [1, 1], 1000, seed=0)
    assert long.sources[:num_steps] == short.sources


def test_epoch_counts_the_sources_in_use():
    samplers = [Counting(0, 5), Counting(1, 7), Counting(2, 11)]
    assert MixtureSampler(samplers, [1, 0, 1], 10, seed=0).batches_per_epoch == 16


@pytest.mark.parametrize(
    "weights, message",
    [
        ([1], "1 weights for 2 samplers"),
        ([1, -1], r"weights must be >= 0 .*got \[1, -1\]"),
        ([0, 0], "at least one above 0"),
    ],
)
def test_weights_that_do_not_fit(weights, message):
    with pytest.raises(ValueError, match=message):
        MixtureSampler([Counting(0), Counting(1)], weights, 10, seed=0)


@pytest.mark.parametrize("step", [-1, 10])
def test_step_out_of_bounds(step):
    with pytest.raises(ValueError, match=f"num_steps - 1 = 9, got {step}"):
        MixtureSampler([Counting(0)], [1], 10, seed=0).batch(step)
