# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.modules.masking.draws import (
    draw_ratio,
    ratio_range,
    uniform,
    uniform_integers,
)


@pytest.mark.parametrize(
    "ratio, ends",
    [
        (0.4, (0.4, 0.4)),
        (0, (0.0, 0.0)),
        ((0.1, 0.3), (0.1, 0.3)),
        ([1, 1], (1.0, 1.0)),
    ],
)
def test_ratio_range(ratio, ends):
    assert ratio_range(ratio) == ends


@pytest.mark.parametrize(
    "ratio",
    [
        1.5,
        -0.1,
        (0.5, 0.2),
        (0.1, 0.2, 0.3),
        (0.2,),
        "half",
        None,
        float("nan"),
        (0.1, float("nan")),
    ],
)
def test_ratio_range_says_what_it_got(ratio):
    with pytest.raises(ValueError) as error:
        ratio_range(ratio, "mask_ratio")
    assert f"mask_ratio is {ratio!r}" in str(error.value)
    assert "0 <= low <= high <= 1" in str(error.value)


def test_draw_ratio_spans_its_range():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([draw_ratio((0.2, 0.6), generator) for _ in range(400)])
    assert drawn.min() >= 0.2 and drawn.max() <= 0.6
    # each tenth of the range holds 40 of 400 draws, six deviations are 36
    counts = torch.histc(drawn, bins=10, min=0.2, max=0.6)
    assert counts.min() > 4 and counts.max() < 76


def test_draw_ratio_of_one_number_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert draw_ratio((0.3, 0.3), generator) == 0.3
    assert torch.equal(generator.get_state(), before)


def test_draws_happen_where_the_generator_lives():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    # a device that has no generator of its own can only get numbers that were drawn elsewhere
    assert uniform((2, 3), generator, "meta").device.type == "meta"
    assert not torch.equal(generator.get_state(), before)
    before = generator.get_state()
    assert uniform_integers(5, (2, 3), generator, "meta").device.type == "meta"
    assert not torch.equal(generator.get_state(), before)


def test_draws_without_a_generator_follow_the_global_one():
    torch.manual_seed(3)
    first = uniform((4,), None, "cpu"), uniform_integers(1000, (4,), None, "cpu")
    torch.manual_seed(3)
    second = uniform((4,), None, "cpu"), uniform_integers(1000, (4,), None, "cpu")
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
