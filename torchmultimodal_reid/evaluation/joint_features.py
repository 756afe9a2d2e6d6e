# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional, Union

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.distance import check_features, squared_norms

# Elements of the rows of which exact distances are worked out at a time: they stay in the cache
EXACT_ELEMENTS = 2**20
# Rows that are moved at a time
PART_ROWS = 1024


class JointFeatures:
    """Queries and gallery as one set of points, for quick and for exact squared Euclidean distances between any two.

    Quick ones come from products of ``rows``, a float32 copy that is moved to have its mean at the origin: distances
    stay, and less of their digits is lost where all features share a large component. Exact ones come from differences
    of the features as they were given, in float64, so that equal features are at equal distances from any third.

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
        points = torch.arange(len(self.rows), device=device).split(PART_ROWS)
        mean = sum(self._given(part).sum(0) for part in points) / len(self.rows)
        for part in points:
            # rounded after the move: what all features share takes no digits
            self.rows[part] = (self._given(part) - mean).to(self.rows)
        self.norms = squared_norms(self.rows, "features")  # shape: (q + n,)

    def __len__(self) -> int:
        return len(self.rows)

    def quick_distances(self, first: Tensor, second: Tensor) -> Tensor:
        """Squared distances of pairs of points, two shape ``(p,)`` -> shape ``(p,)``, in float32."""
        distances = torch.empty(len(first), device=self.rows.device)
        step = max(1, EXACT_ELEMENTS // self.rows.shape[1])
        for start in range(0, len(first), step):
            part = slice(start, start + step)
            difference = self.rows[first[part]].sub_(self.rows[second[part]])
            distances[part] = difference.square_().sum(1)
        return distances

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
        return rows
