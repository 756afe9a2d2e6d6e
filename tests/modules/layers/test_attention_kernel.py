# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch.nn import functional as F
from torchmultimodal_reid.modules.layers.attention_kernel import attention_kernel

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_stays_the_same(dtype):
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 2, 5, 8, generator=generator).to(dtype)
    mask = torch.arange(5) < torch.tensor([5, 3]).view(2, 1, 1, 1)
    expected = F.scaled_dot_product_attention(query, key, value, mask)
    with torch.autocast("cpu", torch.bfloat16), attention_kernel(CPU):
        got = F.scaled_dot_product_attention(query, key, value, mask)
    torch.testing.assert_close(got.float(), expected.float(), rtol=0, atol=0.03)


def backends():
    cuda = torch.backends.cuda
    return cuda.flash_sdp_enabled(), cuda.math_sdp_enabled()


def test_only_within_the_context_and_under_autocast():
    before = backends()
    assert before[0]
    with attention_kernel(CPU):
        assert backends() == before
    with torch.autocast("cpu", torch.bfloat16):
        with attention_kernel(torch.device("cuda")):
            assert backends() == before
        with pytest.raises(KeyError):
            with attention_kernel(CPU):
                assert backends() == (False, True)
                raise KeyError
    assert backends() == before
