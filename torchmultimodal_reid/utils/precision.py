# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from torch import Tensor


def at_least_float(tensor: Tensor) -> Tensor:
    """Half precision becomes float32, anything better stays as it is."""
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor
