# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""CNNs of torchvision as backbones: one table, and what is done with every entry of it alike."""

import difflib
from collections import OrderedDict
from typing import Dict, NamedTuple, Tuple

import torchvision
from torch import nn
from torchmultimodal_reid.modules.layers.depthwise import (
    use_float32_where_depthwise_is_slow,
)


class Backbone(NamedTuple):
    """What is known of a CNN of torchvision."""

    channels: int  # of the feature map
    last_stride: Tuple[str, ...]  # the convolutions that halve the last feature map
    # under which the file of ``model.features.state_dict()`` lacks its names; "" where it has them whole
    prefix: str = "features."
    # what follows the feature map, and is left out
    head: Tuple[str, ...] = ("avgpool", "classifier")


def _resnet(channels: int, last: str) -> Backbone:
    strided = (f"layer4.0.{last}", "layer4.0.downsample.0")
    return Backbone(channels, strided, prefix="", head=("avgpool", "fc"))


# by the name of torchvision's builder
BACKBONES: Dict[str, Backbone] = {
    "resnet18": _resnet(512, "conv1"),
    "resnet34": _resnet(512, "conv1"),
    "resnet50": _resnet(2048, "conv2"),
    "resnet101": _resnet(2048, "conv2"),
    "resnet152": _resnet(2048, "conv2"),
    "resnext50_32x4d": _resnet(2048, "conv2"),
    "resnext101_32x8d": _resnet(2048, "conv2"),
    "resnext101_64x4d": _resnet(2048, "conv2"),
    "wide_resnet50_2": _resnet(2048, "conv2"),
    "wide_resnet101_2": _resnet(2048, "conv2"),
    "mobilenet_v2": Backbone(1280, ("features.14.conv.1.0",)),
    "mobilenet_v3_small": Backbone(576, ("features.9.block.1.0",)),
    "mobilenet_v3_large": Backbone(960, ("features.13.block.1.0",)),
    "efficientnet_b0": Backbone(1280, ("features.6.0.block.1.0",)),
    "efficientnet_b1": Backbone(1280, ("features.6.0.block.1.0",)),
    "efficientnet_b2": Backbone(1408, ("features.6.0.block.1.0",)),
    "efficientnet_b3": Backbone(1536, ("features.6.0.block.1.0",)),
    "efficientnet_b4": Backbone(1792, ("features.6.0.block.1.0",)),
    "efficientnet_b5": Backbone(2048, ("features.6.0.block.1.0",)),
    "efficientnet_b6": Backbone(2304, ("features.6.0.block.1.0",)),
    "efficientnet_b7": Backbone(2560, ("features.6.0.block.1.0",)),
    "efficientnet_v2_s": Backbone(1280, ("features.6.0.block.1.0",)),
    "efficientnet_v2_m": Backbone(1280, ("features.6.0.block.1.0",)),
    "efficientnet_v2_l": Backbone(1280, ("features.6.0.block.1.0",)),
    "convnext_tiny": Backbone(768, ("features.6.1",)),
    "convnext_small": Backbone(768, ("features.6.1",)),
    "convnext_base": Backbone(1024, ("features.6.1",)),
    "convnext_large": Backbone(1536, ("features.6.1",)),
}


def find_backbone(name: str) -> Backbone:
    """The entry of the table.

    Raises:
        ValueError: If there is none, with the nearest name.
    """
    if name not in BACKBONES:
        close = difflib.get_close_matches(name, BACKBONES, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ValueError(
            f"backbone must be one of {', '.join(BACKBONES)}, got {name!r}.{hint}"
        )
    return BACKBONES[name]


def build_backbone(name: str, *, last_stride: int = 1) -> nn.Module:
    """A CNN of torchvision without what follows its feature map, with random weights.

    Its state dict is torchvision's without the head: the same names, so that published weights fit.

    Args:
        name (str): A name in :data:`BACKBONES`.
        last_stride (int): 2, as torchvision has it, or 1 for a last feature map of twice the height and width
            (https://arxiv.org/abs/1711.09349), which has the same weights. Default: 1

    Returns:
        nn.Module: Images of shape ``(b, 3, h, w)`` to features of shape ``(b, channels, h / 16, w / 16)``, or of half
        that height and width with a last stride of 2.

    Raises:
        ValueError: If the name or the stride is unknown.
    """
    entry = find_backbone(name)
    if last_stride not in (1, 2):
        raise ValueError(f"last_stride must be 1 or 2, got {last_stride}")
    model = getattr(torchvision.models, name)(weights=None)
    children = [child for child in model.named_children() if child[0] not in entry.head]
    features = nn.Sequential(OrderedDict(children))
    for convolution in entry.last_stride if last_stride == 1 else ():
        _take_stride(features.get_submodule(convolution))
    use_float32_where_depthwise_is_slow(features)
    return features


def _take_stride(convolution: nn.Module) -> None:
    assert isinstance(convolution, nn.Conv2d) and convolution.stride == (2, 2)
    convolution.stride = (1, 1)
    if convolution.kernel_size == (2, 2):
        # the windows of ConvNeXt touched; now that they overlap, there is one fewer than pixels without padding
        convolution.padding = "same"
