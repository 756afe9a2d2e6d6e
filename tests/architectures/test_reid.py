# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torchmultimodal_reid.architectures.reid import ReIDModel
from torchmultimodal_reid.modules.layers.bnneck import BNNeck


@pytest.fixture
def model():
    """The mean colour of an image is its embedding."""
    pooling = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = ReIDModel(nn.Identity(), pooling, BNNeck(3, num_identities=2))
    nn.init.ones_(model.neck.classifier.weight)
    return model


@pytest.fixture
def image():
    colors = torch.tensor([[3.0, 0.0, 4.0], [0.0, 5.0, 12.0]])
    return colors[:, :, None, None].expand(2, 3, 4, 2)


def test_forward_has_the_same_fields_in_both_modes(model, image):
    output = model.eval()(image)
    torch.testing.assert_close(output.embedding, image[:, :, 0, 0])
    torch.testing.assert_close(
        output.logits, torch.tensor([[7.0, 7.0], [17.0, 17.0]]), rtol=0, atol=1e-3
    )
    assert model.train()(image)._fields == output._fields


def test_embed_is_normalised(model, image):
    expected = torch.tensor([[0.6, 0.0, 0.8], [0.0, 5 / 13, 12 / 13]])
    torch.testing.assert_close(model.eval().embed(image), expected)


def test_embed_searches_behind_the_norm(model, image):
    model.neck.norm.running_mean.copy_(torch.tensor([3.0, 0.0, 0.0]))
    embedding = model.eval().embed(image)
    torch.testing.assert_close(embedding[0], torch.tensor([0.0, 0.0, 1.0]))


def test_embed_refuses_training_mode(model, image):
    with pytest.raises(ValueError, match="in training mode; call model.eval"):
        model.embed(image)
