# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.modules.layers.cpu_autocast import cpu_autocast_dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_within_autocast_alone(dtype):
    assert cpu_autocast_dtype() is None
    with torch.autocast("cpu", dtype):
        assert cpu_autocast_dtype() is dtype
        with torch.autocast("cpu", enabled=False):
            assert cpu_autocast_dtype() is None
    assert cpu_autocast_dtype() is None
