# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from contextlib import contextmanager
from typing import Any, Iterator

import torch
from torch import Tensor

# float32 numbers in 64 bytes
ALIGNMENT = 16


def exact_product(left: Tensor, right: Tensor, out: Tensor) -> None:
    """``torch.mm(left, right, out=out)`` in full float32, whatever is allowed for training.

    Where TF32 or bfloat16 stand in for float32 (``torch.set_float32_matmul_precision``, ``torch.backends``), products
    have 8 to 11 bits of mantissa: near distances would tie, and metrics depend on the device.

    Args:
        left (Tensor): Shape ``(m, d)``, float32.
        right (Tensor): Shape ``(d, n)``, float32.
        out (Tensor): Shape ``(m, n)``, float32; filled in.
    """
    with full_float32():
        torch.mm(left, right, out=out)


def aligned_empty(rows: int, columns: int, device: torch.device) -> Tensor:
    """An empty float32 matrix for a product, whose rows begin at multiples of 64 bytes.

    Where they do not, CPUs take half as long again for it. It is a view of a matrix with up to 15 more columns.
    """
    width = -(-columns // ALIGNMENT) * ALIGNMENT
    return torch.empty(rows, width, device=device)[:, :columns]


@contextmanager
def full_float32() -> Iterator[None]:
    """Within it, float32 products are float32 products; afterwards the process's settings are what they were.

    The settings are of the whole process: another thread that multiplies meanwhile does so in full float32 too.
    """
    # the two families of settings must not be mixed: once the newer one is used, the older one cannot be read
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        cpu: Any = torch.backends.mkldnn
        places = (torch.backends.cuda.matmul, cpu.matmul)
        before = [place.fp32_precision for place in places]
        try:
            for place in places:
                place.fp32_precision = "ieee"
            yield
        finally:
            for place, precision in zip(places, before):
                place.fp32_precision = precision
        return
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
