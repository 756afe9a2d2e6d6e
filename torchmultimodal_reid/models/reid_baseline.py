# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The strong baseline of re-identification (https://arxiv.org/abs/1903.07071) on any backbone of the table."""

from typing import Callable, Dict

from torch import nn
from torchmultimodal_reid.architectures.reid import ReIDModel
from torchmultimodal_reid.models.backbones import build_backbone, find_backbone
from torchmultimodal_reid.modules.layers.bnneck import BNNeck
from torchmultimodal_reid.modules.layers.gem import GeneralizedMeanPooling

POOLINGS: Dict[str, Callable[[], nn.Module]] = {
    "average": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "gem": GeneralizedMeanPooling,
}


def reid_baseline(
    *,
    num_identities: int,
    backbone: str = "resnet50",
    pooling: str = "average",
    last_stride: int = 1,
) -> ReIDModel:
    """A CNN of torchvision, a pooling and a BNNeck, with random weights.

    Weights for the backbone come from :func:`~torchmultimodal_reid.models.backbone_weights.load_backbone_weights`.

    Args:
        num_identities (int): Number of identities in the training set.
        backbone (str): A name in :data:`~torchmultimodal_reid.models.backbones.BACKBONES`. Default: "resnet50"
        pooling (str): "average", or "gem" (https://arxiv.org/abs/1711.02512). Default: "average"
        last_stride (int): 1, for a last feature map of twice the height and width, or torchvision's 2. Default: 1

    Raises:
        ValueError: If a name or a number is unknown.
    """
    if pooling not in POOLINGS:
        raise ValueError(
            f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}"
        )
    return ReIDModel(
        build_backbone(backbone, last_stride=last_stride),
        POOLINGS[pooling](),
        BNNeck(find_backbone(backbone).channels, num_identities),
    )
