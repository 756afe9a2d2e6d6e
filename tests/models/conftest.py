# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, Dict

import pytest


@pytest.fixture
def tiny() -> Dict[str, Any]:
    """Arguments of ``mmet`` for a model of a few thousand parameters."""
    sizes: Dict[str, Any] = {"projection_dim": 8}
    for part, d_model in (("image", 16), ("text", 24), ("mm", 32)):
        sizes[f"{part}_d_model"] = d_model
        sizes[f"{part}_n_layer"] = 2
        sizes[f"{part}_n_head"] = 4
        sizes[f"{part}_dim_feedforward"] = 32
    return {
        "image_size": (32, 16),
        "patch_size": 8,
        "vocab_size": 20,
        "max_text_length": 12,
        **sizes,
    }
