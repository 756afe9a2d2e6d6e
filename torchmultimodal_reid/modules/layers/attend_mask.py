# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional, Sequence

import torch
from torch import Tensor


def attend_mask(padding: Optional[Tensor]) -> Optional[Tensor]:
    """The mask that ``scaled_dot_product_attention`` takes, from one that names the padding.

    Args:
        padding (Optional[Tensor]): Bool of shape ``(b, n)``, True at padding. None where there is none.

    Returns:
        Optional[Tensor]: Bool of shape ``(b, 1, 1, n)``, True where attention may look; broadcast over heads and
        queries. Bool, since upstream's attention adds a float mask to the scores instead of applying it.
    """
    return None if padding is None else ~padding[:, None, None, :]


def join_padding(
    tokens: Sequence[Tensor], padding: Sequence[Optional[Tensor]]
) -> Optional[Tensor]:
    """The padding of several sequences one after the other.

    Args:
        tokens (Sequence[Tensor]): Each of shape ``(b, n, d)``.
        padding (Sequence[Optional[Tensor]]): For each a bool tensor of shape ``(b, n)``, True at padding, or None where
            there is none.

    Returns:
        Optional[Tensor]: Bool of shape ``(b, total)``, None if all of them are.
    """
    if all(part is None for part in padding):
        return None
    return torch.cat(
        [
            (
                sequence.new_zeros(sequence.shape[:2], dtype=torch.bool)
                if part is None
                else part
            )
            for sequence, part in zip(tokens, padding)
        ],
        dim=1,
    )
