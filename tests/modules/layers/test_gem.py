# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.modules.layers.gem import GeneralizedMeanPooling

# one channel of 1, 2, 3 and 4; one of 5 everywhere
FEATURES = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 5.0], [5.0, 5.0]]]])


@pytest.mark.parametrize(
    "p, expected", [(1.0, 2.5), (2.0, 7.5**0.5), (3.0, 25 ** (1 / 3))]
)
def test_generalised_mean(p, expected):
    pooled = GeneralizedMeanPooling(p)(FEATURES)
    torch.testing.assert_close(pooled, torch.tensor([[expected, 5.0]]))


def test_large_exponents_approach_the_maximum():
    assert GeneralizedMeanPooling(30.0)(FEATURES)[0, 0].item() == pytest.approx(
        4, rel=0.05
    )


def test_negative_features_count_as_the_bound():
    pooled = GeneralizedMeanPooling(1.0, eps=0.5)(-FEATURES)
    torch.testing.assert_close(pooled, torch.tensor([[0.5, 0.5]]))


def test_exponent_is_trained_without_weight_decay():
    pooling = GeneralizedMeanPooling(2.0)
    pooling(FEATURES).sum().backward()
    # a higher exponent raises the mean of unequal features
    assert pooling.p.grad.item() > 0 and pooling.p.ndim == 1
    assert not GeneralizedMeanPooling(learnable=False).p.requires_grad


def test_computes_in_float32():
    features = torch.full((1, 1, 3, 3), 100.0, dtype=torch.float16)
    pooled = GeneralizedMeanPooling(3.0)(features)  # 100 ** 3 is beyond float16
    assert pooled.dtype == torch.float16 and pooled.item() == 100.0


@pytest.mark.parametrize("arguments", [(0.0,), (3.0, 0.0), (-1.0,), (float("inf"),)])
def test_refusals(arguments):
    with pytest.raises(ValueError, match="p and eps must be above 0"):
        GeneralizedMeanPooling(*arguments)
