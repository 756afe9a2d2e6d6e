# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, List, Mapping, Optional

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.exact_product import exact_product
from torchmultimodal_reid.evaluation.joint_features import JointFeatures

# Below so many points or dimensions, products are not what takes the time
MIN_POINTS = 4096
MIN_DIM = 256
# Of points shorter than this share of the longest one it is not measured what rounding takes: their squares may be
# too small for float32
SHORTEST = 2.0**-30
PART_ROWS = 1024


class RoughDistances:
    """Squared distances from products of rounded points: quick, and off by no more than is known.

    Of float32 products the error is the most that was seen, ten units in the last place of both norms for 64 to 4,096
    dimensions, clusters and features of few degrees of freedom among them; sums of ``d`` rounding errors may grow as
    ``sqrt(d)``. Of bfloat16 products it is a bound that holds for any points: what rounding took from each point is
    measured, ``|x.y - x'.y'| <= |x||y - y'| + |x - x'||y| + |x - x'||y - y'|``; sums of products are float32, which
    adds at most ``d`` units; and the result is rounded to bfloat16 in the end.

    The rough distance of points i and j is ``low[i] + low[j]`` + :meth:`multiply`'s. As ``2|x||y| <= |x|^2 + |y|^2``,
    the errors are shares of squared norms, and ``low`` are norms less their shares: a pair is never nearer than its
    rough distance says, but for the rounding of the result. That is a share of the product, so of how much a distance
    differs from twice ``middle``, the mean norm.

    Args:
        features (JointFeatures): The points.
        dtype (torch.dtype): ``torch.float32``, or ``torch.bfloat16``.
    """

    def __init__(self, features: JointFeatures, dtype: torch.dtype) -> None:
        self.factors = features.rows.to(dtype)
        self.is_rounded = dtype != torch.float32
        norms = features.norms
        dim = features.rows.shape[1]
        longest = float(norms.max())
        unit = torch.finfo(torch.float32).eps / 2
        if self.is_rounded:
            lost = _lost(features, self.factors)
            # of the sum, of the norms' sums, which are made of at least 8 each, and of putting them together
            share = lost * (2 + lost) + unit * (1.01 * dim + dim / 8 + 32)
            self._rounding = torch.finfo(dtype).eps / 2
        else:
            share = unit * (24 + dim**0.5 / 2)
            self._rounding = 0.0
        self._middle = float(norms.mean())
        self._share = share
        uneven = (norms - self._middle).abs_().mul_(self._rounding)
        self.low = norms * (1 - share) - uneven
        self._spread = norms * (2 * share) + 2.1 * uneven
        # what is too small for float32, and what the shortest points lose
        tiny = dim * torch.finfo(torch.float32).tiny
        self._least = 4 * (tiny * (1 + longest) + SHORTEST * self._rounding * longest)
        self._buffer: Optional[Tensor] = None

    def multiply(self, first: Tensor, right: Tensor, out: Tensor) -> None:
        """Minus twice the products of some ``factors``, shapes ``(m, d)`` and ``(n, d)`` -> ``(m, n)``, float32."""
        left = first * -2
        if left.dtype == torch.float32:
            exact_product(left, right.T, out)
            return
        size = len(left) * len(right)
        if self._buffer is None or len(self._buffer) < size:
            self._buffer = left.new_empty(size)
        product = self._buffer[:size].view(len(left), len(right))
        # with out=, autocast keeps its hands off
        torch.mm(left, right.T, out=product)
        out.copy_(product)

    def near_limit(self, distance: Tensor) -> Tensor:
        """Pairs that are at most ``distance`` apart have at most this rough distance. Any shape."""
        off = (2 * (1 - self._share) * self._middle - distance).abs_()
        return distance * (1 + 1e-6) + off * (1.01 * self._rounding) + self._least

    def far_limit(self, distance: Tensor) -> Tensor:
        """Pairs that are at least ``distance`` apart have at least this rough distance. One for each point."""
        off = (2 * (1 + self._share) * self._middle - distance).abs_()
        limit = distance * (1 - 1e-6) - off * (1.01 * self._rounding) - self._least
        return limit - self._spread - self._spread.max()


def _lost(features: JointFeatures, rounded: Tensor) -> float:
    """The greatest length of what rounding took from a row, as a share of the row's length."""
    taken = [
        torch.linalg.vector_norm(part - kept, dim=1)
        for part, kept in zip(features.rows.split(PART_ROWS), rounded.split(PART_ROWS))
    ]
    length = features.norms.sqrt()
    share = torch.cat(taken) / length.clamp_min_(float(length.max()) * SHORTEST)
    # none of points that are all one; the factor is for the rounding of lengths
    return float(share.nan_to_num_(0.0).max()) * 1.001


def product_dtypes(features: JointFeatures) -> List[torch.dtype]:
    """Which products to search by, in the order in which to try: bfloat16 first where it is the quicker one."""
    device = features.rows.device
    is_large = len(features) >= MIN_POINTS and features.rows.shape[1] >= MIN_DIM
    if is_large and device.type == "cpu" and has_quick_bfloat16():
        return [torch.bfloat16, torch.float32]
    return [torch.float32]


def has_quick_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 by instructions of its own, and torch by a library that uses them."""
    if not torch.backends.mkldnn.is_available():
        return False
    # older releases cannot tell
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
