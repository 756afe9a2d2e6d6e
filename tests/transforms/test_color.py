# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.transforms.color import jitter_color, LUMA
from torchvision.transforms.v2 import functional as F

NEUTRAL = {
    "brightness": 1.0,
    "contrast": 1.0,
    "saturation": 1.0,
    "hue": 0.0,
    "gain": (1.0, 1.0, 1.0),
}


def jitter(image, **changes):
    return jitter_color(image, **{**NEUTRAL, **changes})


@pytest.fixture
def image():
    """All values between 90 and 160, so that nothing is clipped."""
    values = (torch.arange(3 * 12 * 7) * 37 % 71 + 90).to(torch.uint8)
    return values.view(3, 12, 7)


def largest_difference(first, second):
    return int((first.int() - second.int()).abs().max())


def grey(image):
    return sum(w * channel for w, channel in zip(LUMA, image.float()))


def test_neutral_changes_nothing(image):
    result = jitter(image)
    assert torch.equal(result, image) and result.dtype == torch.uint8


@pytest.mark.parametrize("factor", [0.7, 1.3])
@pytest.mark.parametrize(
    "name, adjust",
    [
        ("brightness", F.adjust_brightness),
        ("contrast", F.adjust_contrast),
        ("saturation", F.adjust_saturation),
    ],
)
def test_agrees_with_torchvision(image, name, adjust, factor):
    # which cuts to whole numbers on the way, where this rounds at the end
    assert (
        largest_difference(jitter(image, **{name: factor}), adjust(image, factor)) <= 1
    )


def test_all_together_are_one_after_another(image):
    steps = jitter(image, brightness=1.1)
    steps = jitter(steps, contrast=0.8)
    steps = jitter(steps, saturation=1.2)
    steps = jitter(steps, hue=0.05)
    steps = jitter(steps, gain=(0.9, 1.0, 1.1))
    together = jitter_color(image, 1.1, 0.8, 1.2, 0.05, (0.9, 1.0, 1.1))
    assert largest_difference(together, steps) <= 3


def test_gain_scales_channels(image):
    result = jitter(image, gain=(0.5, 1.0, 1.5))
    factors = torch.tensor([0.5, 1.0, 1.5]).view(3, 1, 1)
    assert largest_difference(result, image * factors) <= 1


def test_saturation_0_is_grey(image):
    result = jitter(image, saturation=0.0)
    assert torch.equal(result[0], result[1]) and torch.equal(result[0], result[2])
    assert largest_difference(result[0], grey(image)) <= 1


def test_hue_turns_red_to_green():
    reddish = torch.tensor([150, 120, 120], dtype=torch.uint8).view(3, 1, 1)
    result = jitter(reddish, hue=1 / 3).flatten().tolist()
    assert result[1] > result[0] == result[2]
    assert result[1] - result[0] == 30


def test_hue_keeps_grey_values_and_a_full_turn_is_none(image):
    result = jitter(image, hue=0.1)
    assert largest_difference(result, image) > 5
    assert (grey(result) - grey(image)).abs().max() <= 1
    assert largest_difference(jitter(image, hue=1.0), image) <= 1


def test_clips():
    image = torch.tensor([250, 5, 100], dtype=torch.uint8).view(3, 1, 1)
    assert jitter(image, brightness=2.0).flatten().tolist() == [255, 10, 200]
    dark = jitter(image, contrast=3.0).flatten().tolist()
    assert dark[0] == 255 and dark[1] == 0
