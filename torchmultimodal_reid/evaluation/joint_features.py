# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math
from typing import Optional, Union

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.distance import check_features, squared_norms

# Elements of the rows of which exact distances are worked out at a time: they stay in the cache
EXACT_ELEMENTS = 2**20
# Elements of the rows of which quick ones are, in two buffers; elsewhere than on a CPU, that many times as many
QUICK_ELEMENTS = 2**18
QUICK_ELSEWHERE = 64
# Rows that are moved at a time
PART_ROWS = 1024
# Features whose greatest value is beyond two to this power, or below its inverse, are scaled
MAX_EXPONENT = 20


class JointFeatures:
    """Queries and gallery as one set of points, for quick and for exact squared Euclidean distances between any two.

    Quick ones come from products of ``rows``, a float32 copy that is moved to have its mean at the origin: distances
    stay, and less of their digits is lost where all features share a large component. Exact ones come from differences
    of the features as they were given, in float64, so that equal features are at equal distances from any third.

    Distances are of the features times ``scale``, a power of two, which is 1 unless squares of the features would leave
    float32's range.

    Args:
        query (Tensor): Shape ``(q, d)``, any floating dtype. Points 0 to q - 1.
        gallery (Tensor): Shape ``(n, d)``, any floating dtype. Points q to q + n - 1.
        metric (str): ``"euclidean"``, or ``"cosine"``: the features are divided by their lengths first, so that squared
            distances are ``2 - 2 * cosine``. Default: ``"euclidean"``
        device (Optional[Union[str, torch.device]]): Where to compute. Default: ``None``, where the gallery is

    Raises:
        ValueError: If shapes do not fit, either set is empty, or a feature is NaN or infinite.
    """

    def __init__(
        self,
        query: Tensor,
        gallery: Tensor,
        metric: str = "euclidean",
        device: Optional[Union[str, torch.device]] = None,
    ) -> None:
        check_features(query, gallery, metric)
        if not len(query) or not len(gallery):
            raise ValueError(
                f"at least one query and one gallery item are needed, got {len(query)} and {len(gallery)}"
            )
        device = gallery.device if device is None else torch.device(device)
        self.num_queries = len(query)
        self._query, self._gallery = query.detach(), gallery.detach()
        self._is_cosine = metric == "cosine"
        self.rows = torch.empty(
            len(query) + len(gallery), query.shape[1], device=device
        )
        squared_norms(self._query, "query_features")
        squared_norms(self._gallery, "gallery_features")
        self.scale = 1.0 if self._is_cosine else _scale(query, gallery)
        parts = torch.arange(len(self.rows), device=device).split(PART_ROWS)
        total = torch.stack([self._given(part).sum(0) for part in parts]).sum(0)
        mean = total / len(self.rows)
        self._fill_rows(mean)
        # little may be left of features that share most of what they are
        again = _scale(self.rows)
        if again != 1:
            self.scale *= again
            self._fill_rows(mean * again)
        self.norms = squared_norms(self.rows, "features")  # shape: (q + n,)

    def _fill_rows(self, mean: Tensor) -> None:
        parts = torch.arange(len(self.rows), device=self.rows.device).split(PART_ROWS)
        for part in parts:
            # rounded after the move: what all features share takes no digits
            self.rows[part] = (self._given(part) - mean).to(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def quick_distances(self, first: Tensor, second: Tensor) -> Tensor:
        """Squared distances of pairs of points, two shape ``(p,)`` -> shape ``(p,)``, in float32.

        The same digits whichever other pairs there are. How far off they may be: :meth:`tolerance`.
        """
        device = self.rows.device
        distances = torch.empty(len(first), device=device)
        elements = QUICK_ELEMENTS * (1 if device.type == "cpu" else QUICK_ELSEWHERE)
        step = max(1, elements // 2 // self.rows.shape[1])
        one, other = self.rows.new_empty(2, min(step, len(first)), self.rows.shape[1])
        for start in range(0, len(first), step):
            part = slice(start, min(start + step, len(first)))
            left, right = one[: part.stop - start], other[: part.stop - start]
            torch.index_select(self.rows, 0, first[part], out=left)
            torch.index_select(self.rows, 0, second[part], out=right)
            torch.sum(right.sub_(left).square_(), 1, out=distances[part])
        return distances

    def tolerance(self, distance: Tensor) -> Tensor:
        """How far :meth:`quick_distances` of about ``distance`` from each point may be from the exact ones.

        Three units in the last place are the most that was seen of sums of squares, which may grow as ``sqrt(d)``.
        ``rows`` are rounded as well: that takes one unit of the lengths of both points from a distance, not squared,
        and the other point is no longer than the first and the distance together.

        Args:
            distance (Tensor): Squared distances, one for each point.
        """
        unit = torch.finfo(torch.float32).eps / 2
        dim = self.rows.shape[1]
        root = distance.sqrt()
        moved = unit * (2 * self.norms.sqrt() + root)
        summed = unit * (16 + dim**0.5 / 2) * distance
        # what is too small for float32 is lost
        least = 4 * dim * torch.finfo(torch.float32).tiny
        return summed + 4 * moved * (root + moved) + least

    def exact_distances(self, first: Tensor, second: Tensor) -> Tensor:
        """As :meth:`quick_distances`, of the features as they were given, in float64."""
        distances = torch.empty(
            len(first), device=self.rows.device, dtype=torch.float64
        )
        step = max(1, EXACT_ELEMENTS // self.rows.shape[1])
        for start in range(0, len(first), step):
            part = slice(start, start + step)
            difference = self._given(first[part]).sub_(self._given(second[part]))
            distances[part] = difference.square_().sum(1).to(distances.device)
        return distances

    def _given(self, points: Tensor) -> Tensor:
        points = points.to(self._gallery.device)
        rows = self._gallery[(points - self.num_queries).clamp_min(0)].double()
        is_query = points < self.num_queries
        from_query = self._query[points[is_query].to(self._query.device)]
        rows[is_query] = from_query.to(rows)
        if self._is_cosine:
            rows /= rows.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)
        return rows if self.scale == 1 else rows.mul_(self.scale)


def _scale(*features: Tensor) -> float:
    """The power of two that brings the greatest value to between 1 and 2, if it is far from there."""
    ends = [end for part in features if part.numel() for end in part.aminmax()]
    greatest = max([0.0] + [abs(float(end)) for end in ends])
    _, exponent = math.frexp(greatest)
    if greatest == 0 or abs(exponent) <= MAX_EXPONENT:
        return 1.0
    return 2.0 ** (1 - exponent)
