# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import torch
from torchmultimodal_reid.modules.layers.packed_tokens import Places

COUNTS = torch.tensor([[True, True, False], [True, False, False]])


def test_there_and_back():
    places = Places.of(COUNTS)
    padded = torch.arange(12.0).view(2, 3, 2)
    packed = places.pack(padded)
    assert packed.tolist() == [[0, 1], [2, 3], [6, 7]]
    assert torch.equal(places.pad(packed), padded * COUNTS.unsqueeze(-1))


def test_gradients_reach_the_tokens_that_count():
    padded = torch.ones(2, 3, 2, requires_grad=True)
    places = Places.of(COUNTS)
    places.pad(3 * places.pack(padded)).sum().backward()
    assert torch.equal(padded.grad[..., 0], 3.0 * COUNTS)


def test_none_counts():
    places = Places.of(torch.zeros(2, 3, dtype=torch.bool))
    packed = places.pack(torch.ones(2, 3, 4))
    assert packed.shape == (0, 4)
    assert not places.pad(packed).any() and places.pad(packed).shape == (2, 3, 4)
