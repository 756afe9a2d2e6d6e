# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torchmultimodal_reid.modules.encoders.cnn_grid import CNNGrid
from torchvision.models import get_model


@pytest.mark.parametrize(
    "name, channels, head",
    [
        ("resnet18", 512, "fc."),
        ("mobilenet_v2", 1280, "classifier."),
        ("mobilenet_v3_small", 576, "classifier."),
    ],
)
def test_the_state_dict_is_torchvisions_less_the_head(name, channels, head):
    cnn = get_model(name)
    grid = CNNGrid(cnn)
    names = [key for key in cnn.state_dict() if not key.startswith(head)]
    assert list(grid.state_dict()) == names
    assert grid.out_channels == channels
    # not strict, because all but the head is to be there: the next lines look at both lists
    missing, unexpected = cnn.load_state_dict(grid.state_dict(), strict=False)
    assert missing and all(key.startswith(head) for key in missing)
    assert not unexpected


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_the_feature_map_of_a_person(name):
    cnn = get_model(name).eval()
    image = torch.randn(2, 3, 128, 64, generator=torch.Generator().manual_seed(0))
    features = CNNGrid(cnn)(image)
    assert features.shape == (2, CNNGrid(cnn).out_channels, 4, 2)
    # the head on the pooled map is the whole classifier
    pooled = features.mean(dim=(2, 3))
    head = cnn.fc if name == "resnet18" else cnn.classifier
    torch.testing.assert_close(head(pooled), cnn(image))


def test_what_is_no_classifier():
    with pytest.raises(ValueError, match="Sequential has no head .* avgpool, fc"):
        CNNGrid(nn.Sequential(nn.Conv2d(3, 4, 1)))


def test_a_head_that_does_not_start_from_pooled_features():
    with torch.device("meta"), pytest.raises(ValueError, match="VGG does not pool"):
        CNNGrid(get_model("vgg11"))
