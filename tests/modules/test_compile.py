# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import Tensor
from torchmultimodal_reid.modules.layers.bnneck import BNNeck
from torchmultimodal_reid.modules.losses.identity_contrastive import (
    IdentityContrastiveLoss,
)
from torchmultimodal_reid.modules.losses.image_text_matching import (
    ImageTextMatchingLoss,
)
from torchmultimodal_reid.modules.losses.masked_prediction import (
    MaskedClassificationLoss,
    MaskedRegressionLoss,
)
from torchmultimodal_reid.modules.losses.triplet import BatchHardTripletLoss
from torchmultimodal_reid.modules.masking.patch_masking import (
    BlockPatchMasking,
    RandomPatchMasking,
)
from torchmultimodal_reid.modules.masking.targets import PixelTargets
from torchmultimodal_reid.modules.masking.token_masking import TokenMasking

IDENTITY = torch.tensor([0, 0, 1, 1])
EMBEDDING = torch.tensor([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0], [1.0, 2.0]])
IMAGE = torch.arange(96.0).view(2, 3, 4, 4)


@pytest.fixture(scope="module", autouse=True)
def compiler():
    try:
        torch.compile(torch.neg, backend="eager")(torch.zeros(1))
    except RuntimeError as error:  # an old torch on a new Python
        pytest.skip(f"torch.compile does not run here: {error}")


@pytest.mark.parametrize(
    "module, inputs",
    [
        (
            IdentityContrastiveLoss("ignore"),
            (EMBEDDING, EMBEDDING, IDENTITY, IDENTITY, 4.0),
        ),
        (BatchHardTripletLoss(), (EMBEDDING, IDENTITY)),
        (MaskedClassificationLoss(), (EMBEDDING, IDENTITY)),
        (MaskedRegressionLoss(), (EMBEDDING, EMBEDDING)),
        (ImageTextMatchingLoss(), (EMBEDDING, IDENTITY.bool())),
        (PixelTargets(2), (IMAGE,)),
        (BNNeck(2, 3), (EMBEDDING,)),
        (RandomPatchMasking(0.4), (3, (8, 4))),
        (BlockPatchMasking(0.4), (3, (8, 4))),
        (TokenMasking(9, mask_id=1, special_ids=[0]), (torch.arange(9).view(1, 9),)),
    ],
    ids=lambda value: "" if isinstance(value, tuple) else type(value).__name__,
)
def test_compiles_in_one_graph(module, inputs):
    torch.manual_seed(0)
    expected = module(*inputs)
    torch.manual_seed(0)
    compiled = torch.compile(module, backend="eager", fullgraph=True)(*inputs)
    if isinstance(expected, Tensor):
        expected, compiled = (expected,), (compiled,)
    for a, b in zip(expected, compiled):
        torch.testing.assert_close(a, b)
