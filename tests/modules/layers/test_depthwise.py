# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torchmultimodal_reid.modules.layers.depthwise import (
    DepthwiseConv2d,
    is_slow_in_half,
    use_float32_where_depthwise_is_slow,
)


def convolution(channels=4, kernel=3, stride=2, groups=4):
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=groups)


@pytest.fixture
def image():
    return torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "module, expected",
    [
        (convolution(), True),
        (convolution(kernel=5, stride=1), True),
        (convolution(stride=1), False),  # bfloat16 is the quicker there
        (convolution(groups=1), False),
        (convolution(groups=2), False),
        (convolution(channels=2, groups=2), True),
        (convolution(channels=1, groups=1), False),  # nothing to tell it by
        (nn.Conv2d(4, 8, 3, 2, groups=4), False),
        (nn.BatchNorm2d(4), False),
    ],
)
def test_which_are_slow(module, expected):
    assert is_slow_in_half(module) is expected


class TestReplacement:
    def test_parameters_names_and_mode_stay(self):
        model = nn.Sequential(convolution(), nn.Sequential(convolution(stride=1)))
        model.eval()
        before = dict(model.named_parameters())
        state = torch.get_rng_state()
        use_float32_where_depthwise_is_slow(model)
        assert torch.equal(torch.get_rng_state(), state)
        after = dict(model.named_parameters())
        assert list(after) == list(before)
        assert all(after[name] is before[name] for name in before)
        assert [type(part) for part in (model[0], model[1][0])] == [
            DepthwiseConv2d,
            nn.Conv2d,
        ]
        assert not model[0].training

    def test_without_bias(self):
        model = nn.Sequential(nn.Conv2d(4, 4, 3, 2, groups=4, bias=False))
        use_float32_where_depthwise_is_slow(model)
        assert list(model.state_dict()) == ["0.weight"]

    def test_computes_the_same(self, image):
        model = nn.Sequential(convolution())
        expected = model(image)
        use_float32_where_depthwise_is_slow(model)
        assert torch.equal(model(image), expected)


class TestUnderAutocast:
    def test_gives_halves_that_were_computed_in_float32(self, image):
        model = nn.Sequential(convolution())
        expected = model(image)
        use_float32_where_depthwise_is_slow(model)
        with torch.autocast("cpu", torch.bfloat16):
            got = model(image)
            halves = model(image.bfloat16())
        # no more than the last rounding apart
        assert torch.equal(got, expected.bfloat16())
        assert halves.dtype == torch.bfloat16
        assert not torch.equal(halves, got)  # the image was rounded here

    def test_gradients_are_those_of_float32(self, image):
        model = nn.Sequential(convolution())
        model(image).sum().backward()
        expected = model[0].weight.grad.clone()
        model.zero_grad()
        use_float32_where_depthwise_is_slow(model)
        with torch.autocast("cpu", torch.bfloat16):
            model(image).sum().backward()
        assert torch.equal(model[0].weight.grad, expected)

    def test_double_precision_stays(self, image):
        model = nn.Sequential(convolution()).double()
        use_float32_where_depthwise_is_slow(model)
        assert model(image.double()).dtype == torch.float64
