# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
import torchvision
from torchmultimodal_reid.models.backbones import (
    BACKBONES,
    build_backbone,
    find_backbone,
)
from torchmultimodal_reid.models.reid_baseline import reid_baseline
from torchmultimodal_reid.models.vtbr import cnn_grid
from torchmultimodal_reid.modules.layers.depthwise import (
    DepthwiseConv2d,
    is_slow_in_half,
)


@pytest.fixture(params=BACKBONES)
def name(request):
    return request.param


def test_table(name):
    """Width, size of the feature map, and names of each entry."""
    image = torch.zeros(1, 3, 256, 128, device="meta")
    with torch.device("meta"):  # shapes without numbers
        backbone = build_backbone(name).eval()
    channels = BACKBONES[name].channels
    assert backbone(image).shape == (1, channels, 16, 8)

    with torch.device("meta"):
        whole = getattr(torchvision.models, name)(weights=None).state_dict()
    left_out = set(whole) - set(backbone.state_dict())
    assert {key.split(".")[0] for key in left_out} <= {"fc", "classifier"}
    for key, tensor in backbone.state_dict().items():
        assert tensor.shape == whole[key].shape


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_features_are_torchvisions(name):
    torch.manual_seed(0)
    original = getattr(torchvision.models, name)(weights=None).eval()
    backbone = build_backbone(name, last_stride=2).eval()
    backbone.load_state_dict(
        {key: original.state_dict()[key] for key in backbone.state_dict()}
    )
    image = torch.randn(1, 3, 64, 32)
    pooled = backbone(image).mean(dim=(2, 3))
    head = original.fc if hasattr(original, "fc") else original.classifier
    with torch.no_grad():
        torch.testing.assert_close(head(pooled), original(image))


def test_last_stride_changes_no_weight():
    torch.manual_seed(0)
    one = build_backbone("resnet18")
    two = build_backbone("resnet18", last_stride=2)
    two.load_state_dict(one.state_dict())
    image = torch.randn(1, 3, 64, 32)
    # until the last stage they are the same
    torch.testing.assert_close(one[:7].eval()(image), two[:7].eval()(image))
    assert one(image).shape == (1, 512, 4, 2) and two(image).shape == (1, 512, 2, 1)


@pytest.mark.parametrize("build", [build_backbone, cnn_grid])
def test_depthwise_convolutions_are_those_that_are_quick(build):
    with torch.device("meta"):
        slow = [
            part for part in build("mobilenet_v2").modules() if is_slow_in_half(part)
        ]
    assert slow and all(isinstance(part, DepthwiseConv2d) for part in slow)


def test_refusals():
    with pytest.raises(ValueError, match="got 'resnet-50'. Did you mean resnet50"):
        find_backbone("resnet-50")
    with pytest.raises(ValueError, match="last_stride must be 1 or 2, got 3"):
        build_backbone("resnet18", last_stride=3)
    with pytest.raises(ValueError, match="pooling must be one of average, gem, got"):
        reid_baseline(num_identities=3, pooling="max")


@pytest.mark.parametrize("pooling", ["average", "gem"])
def test_baseline(pooling):
    model = reid_baseline(num_identities=5, backbone="resnet18", pooling=pooling)
    output = model.eval()(torch.zeros(2, 3, 64, 32))
    assert output.embedding.shape == (2, 512) and output.logits.shape == (2, 5)
