# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import torch
from torch import nn, Tensor
from torchmultimodal_reid.modules.layers.cpu_autocast import cpu_autocast_dtype


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution that trains at full speed under autocast on a CPU, by staying in float32 there.

    On a CPU the backward pass of strided or large depthwise convolutions is slow in bfloat16: with stride 2, 144
    channels and 32 maps of 32x16 it took 196 ms, and 5 ms in float32; with a kernel of 5x5 and stride 1, 167 ms and
    30 ms (torch 2.15, one core with AVX512-BF16). A step of a MobileNetV2 took 470 ms with them, 195 without. Without
    autocast, on other devices and in a graph it is ``nn.Conv2d``; arguments and state dict are always the same.

    Inputs:
        input (Tensor): Of shape ``(b, c, h, w)``.
    """

    def forward(self, input: Tensor) -> Tensor:
        on_cpu = input.device.type == "cpu" and not torch.compiler.is_compiling()
        half = cpu_autocast_dtype() if on_cpu else None
        if half is None:
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.to(self.weight.dtype)).to(half)


def is_slow_in_half(module: nn.Module) -> bool:
    """Whether a module is a depthwise convolution of a kind that :class:`DepthwiseConv2d` is for.

    Of stride 1 and 3x3, bfloat16 is the quicker.
    """
    if not isinstance(module, nn.Conv2d) or module.groups == 1:
        return False
    if not module.groups == module.in_channels == module.out_channels:
        return False
    return module.stride != (1, 1) or max(module.kernel_size) > 3


def use_float32_where_depthwise_is_slow(model: nn.Module) -> None:
    """Replaces, in place, each convolution of :func:`is_slow_in_half` by a :class:`DepthwiseConv2d` of its parameters.

    Names in the state dict, and random numbers that are drawn later, stay as they are.

    Args:
        model (nn.Module): A CNN, such as torchvision's MobileNets, EfficientNets and ConvNeXts.
    """
    found = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if is_slow_in_half(child)
    ]
    for parent, name, child in found:
        setattr(parent, name, _like(child))


def _like(convolution: nn.Module) -> DepthwiseConv2d:
    assert isinstance(convolution, nn.Conv2d)
    made = DepthwiseConv2d(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]
        stride=convolution.stride,  # type: ignore[arg-type]
        padding=convolution.padding,  # type: ignore[arg-type]
        dilation=convolution.dilation,  # type: ignore[arg-type]
        groups=convolution.groups,
        bias=convolution.bias is not None,
        padding_mode=convolution.padding_mode,
        device="meta",  # which draws no random numbers
    )
    made.weight, made.bias = convolution.weight, convolution.bias
    return made.train(convolution.training)
