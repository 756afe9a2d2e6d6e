# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import torch
from torch.nn import functional as F
from torchmultimodal_reid.modules.layers.attend_mask import attend_mask, join_padding


def test_true_where_attention_may_look():
    padding = torch.tensor([[False, False, True], [False, True, True]])
    mask = attend_mask(padding)
    assert mask.shape == (2, 1, 1, 3) and mask.dtype == torch.bool
    assert mask.flatten(1).tolist() == [[True, True, False], [True, False, False]]


def test_nothing_is_padding():
    assert attend_mask(None) is None


def test_attention_averages_over_what_is_no_padding():
    # keys that are all alike, so attention is the mean of the values that it may see
    query = key = torch.zeros(2, 4, 3, 5)
    value = torch.tensor([3.0, 5.0, 100.0]).view(1, 1, 3, 1).expand(2, 4, 3, 5)
    padding = torch.tensor([[False, False, True], [False, True, True]])
    output = F.scaled_dot_product_attention(query, key, value, attend_mask(padding))
    torch.testing.assert_close(output[0], torch.full((4, 3, 5), 4.0))
    torch.testing.assert_close(output[1], torch.full((4, 3, 5), 3.0))


def test_join_padding():
    two, one = torch.zeros(1, 2, 3), torch.zeros(1, 1, 3)
    assert join_padding([two, one], [None, None]) is None
    joined = join_padding([two, one], [None, torch.tensor([[True]])])
    assert joined.tolist() == [[False, False, True]]
    joined = join_padding([two, one], [torch.tensor([[False, True]]), None])
    assert joined.tolist() == [[False, True, False]]
