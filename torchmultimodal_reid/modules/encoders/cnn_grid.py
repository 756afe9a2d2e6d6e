# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from torch import nn, Tensor

# what torchvision's classifiers call the part that comes after the feature map
_HEAD = ("avgpool", "fc", "classifier")


class CNNGrid(nn.Module):
    """A torchvision CNN without its head: images to the feature map of its last stage.

    The state dict has torchvision's own names, so that it loads into the whole CNN with nothing but the head missing.
    It fits ResNets and their wide and ResNeXt forms, MobileNets, EfficientNets and ConvNeXts.

    Args:
        cnn (nn.Module): One of torchvision's classifiers. Its stages are used, not copied.

    Attributes:
        out_channels (int): Channels of the feature map.

    Inputs:
        image (Tensor): Normalised images of shape ``(b, 3, h, w)``.

    Returns:
        Tensor: Feature map of shape ``(b, out_channels, rows, columns)``; a 32nd of the image a side in a ResNet.

    Raises:
        ValueError: If ``cnn`` has no such head, or it does not start from pooled features.
    """

    def __init__(self, cnn: nn.Module) -> None:
        super().__init__()
        children = dict(cnn.named_children())
        head = [name for name in children if name in _HEAD]
        linear = [
            layer
            for name in head
            for layer in children[name].modules()
            if isinstance(layer, nn.Linear)
        ]
        kind = type(cnn).__name__
        if not linear:
            raise ValueError(
                f"{kind} has no head to take off; expected a torchvision classifier with one of {', '.join(_HEAD)}"
            )
        if "avgpool" in children and getattr(
            children["avgpool"], "output_size", 1
        ) not in (1, (1, 1)):
            raise ValueError(
                f"{kind} does not pool its feature map to one cell; expected a CNN that does, such as a ResNet"
            )
        for name, child in children.items():
            if name not in head:
                self.add_module(name, child)
        self.out_channels = linear[0].in_features

    def forward(self, image: Tensor) -> Tensor:
        for stage in self.children():
            image = stage(image)
        return image
