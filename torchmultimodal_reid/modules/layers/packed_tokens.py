# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Tuple

from torch import Tensor


class Places(NamedTuple):
    """Where the tokens that count stand among padded ones.

    What looks at one token at a time, such as a linear layer, then computes nothing for padding: it reads tokens that
    are packed behind each other. Attention reads them padded.
    """

    flat: Tensor  # shape: (m,), long, into the b * s tokens
    rows: Tuple[int, int]  # b, s

    @classmethod
    def of(cls, counts: Tensor) -> "Places":
        """Of a bool ``(b, s)``, True at the ``m`` tokens that count."""
        b, s = counts.shape
        return cls(counts.flatten().nonzero().squeeze(1), (b, s))

    def pack(self, padded: Tensor) -> Tensor:
        """``(b, s, d)`` -> ``(m, d)``."""
        return padded.flatten(0, 1).index_select(0, self.flat)

    def pad(self, packed: Tensor) -> Tensor:
        """``(m, d)`` -> ``(b, s, d)``, with zeros elsewhere."""
        b, s = self.rows
        zeros = packed.new_zeros(b * s, packed.shape[-1])
        return zeros.index_copy(0, self.flat, packed).view(b, s, -1)
