# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Dict, List, Sequence

import numpy as np
import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.hit_ranks import HitRanks
from torchmultimodal_reid.evaluation.matches import Matches, Pairs


class RocCollector:
    """True positive rates at given false positive rates over all kept pairs, exact, in one pass over the distances.

    A pair is accepted when its distance is below a threshold, and the threshold is the greatest that lets no more than
    the asked share of the wrong pairs through. Only the wrong pairs of least distance are held, as many as the
    greatest rate needs. Queries without a match take no part.

    Args:
        matches (Matches): Labels of queries and gallery.
        rates (Sequence[float]): False positive rates, in 0..1.

    Raises:
        ValueError: If a rate is not in 0..1.
    """

    def __init__(self, matches: Matches, rates: Sequence[float]) -> None:
        for rate in rates:
            if not 0.0 <= rate <= 1.0:
                raise ValueError(
                    f"tpr_at_fpr must hold false positive rates in 0..1, got {rate}"
                )
        self._rates = [float(rate) for rate in rates]
        # counts all queries, since it is not known yet which have a match: an upper bound
        all_pairs = matches.num_queries * len(matches.kept_columns)
        self._num_kept = _share(max(self._rates, default=0.0), all_pairs) + 1
        self._num_wrong = 0
        self._bound = float("inf")
        self._nearest: List[Tensor] = []
        self._hits: List[np.ndarray] = []

    def update(self, distances: Tensor, pairs: Pairs, hits: HitRanks) -> None:
        """Takes in the distances of some queries, with their pairs and their hits."""
        device = distances.device
        wrong = torch.zeros_like(distances, dtype=torch.bool)
        wrong[torch.from_numpy(np.unique(hits.row)).to(device)] = True
        row, column = torch.from_numpy(pairs.row), torch.from_numpy(pairs.column)
        wrong[row.to(device), column.to(device)] = False
        self._num_wrong += int(wrong.sum())
        if self._bound < float("inf"):
            wrong &= distances < self._bound
        self._nearest.append(distances[wrong])
        self._hits.append(hits.distance)
        if sum(len(part) for part in self._nearest) > 2 * self._num_kept:
            self._shrink()

    def _shrink(self) -> None:
        nearest = torch.cat(self._nearest)
        nearest = nearest.topk(self._num_kept, largest=False).values
        self._bound = float(nearest.max())
        self._nearest = [nearest]

    def result(self) -> Dict[float, float]:
        """The true positive rate at each false positive rate."""
        hits = np.concatenate(self._hits)
        nearest = torch.cat(self._nearest).sort().values.cpu().numpy()
        rates: Dict[float, float] = {}
        for rate in self._rates:
            accepted = _share(rate, self._num_wrong)
            is_all = accepted >= self._num_wrong
            rates[rate] = 1.0 if is_all else float((hits < nearest[accepted]).mean())
        return rates


def _share(rate: float, total: int) -> int:
    # 0.29 * 100 is a little below 29 in binary
    return int(rate * total + 1e-9)
