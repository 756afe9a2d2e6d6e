# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from contextlib import contextmanager, nullcontext
from typing import ContextManager, Iterator

import torch
from torch.nn.attention import sdpa_kernel, SDPBackend
from torchmultimodal_reid.modules.layers.cpu_autocast import cpu_autocast_dtype


def attention_kernel(device: torch.device) -> ContextManager[None]:
    """A context in which ``scaled_dot_product_attention`` is quickest for sequences of a few hundred tokens.

    On a CPU under autocast the backward pass of the flash kernel is slow in half precision: for 159 tokens, forward and
    backward took 15 ms, and 6 ms as plain products of matrices (torch 2.15, one core with AVX512-BF16). Everywhere else
    torch chooses.

    Args:
        device (torch.device): Where attention is computed.
    """
    if (
        device.type != "cpu"
        or torch.compiler.is_compiling()
        or not cpu_autocast_dtype()
    ):
        return nullcontext()
    return _plain_products()


@contextmanager
def _plain_products() -> Iterator[None]:
    # torch computes the plain products of halves in float32, unless it is told that halves will do
    name = "fp16_bf16_reduction_math_sdp"
    allowed = getattr(torch.backends.cuda, f"{name}_allowed", lambda: True)()
    allow = getattr(torch.backends.cuda, f"allow_{name}", lambda enabled: None)
    allow(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        allow(allowed)
