# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import List, NamedTuple, Optional, Union

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.distance import distance_chunks
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.matches import Matches
from torchmultimodal_reid.evaluation.protocols import EvaluationProtocol, filter_labels


class RankedGallery(NamedTuple):
    """The head of each query's ranked list. A list that is shorter than ``k`` ends in -1, NaN and False."""

    position: Tensor  # shape: (q, k), long; row of the gallery
    distance: Tensor  # shape: (q, k), float32; of use only for comparing
    is_match: Tensor  # shape: (q, k), bool


def rank_gallery(
    protocol: EvaluationProtocol,
    query: Features,
    gallery: Features,
    *,
    top_k: int = 10,
    device: Optional[Union[str, torch.device]] = None,
) -> RankedGallery:
    """The nearest gallery images of each query, without what the protocol drops, for looking at.

    Args:
        protocol (EvaluationProtocol): Says which distance, and whether cameras filter.
        query (Features): The queries to look at.
        gallery (Features): The whole gallery.
        top_k (int): Length of a list. Default: 10
        device (Optional[Union[str, torch.device]]): Where to compute. Default: ``None``, where the gallery is

    Raises:
        ValueError: If ``top_k`` is less than 1.
    """
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}")
    matches = Matches(
        query.identity, gallery.identity, *filter_labels(protocol, query, gallery)
    )
    kept = torch.from_numpy(matches.kept_columns)
    positions: List[Tensor] = []
    nearest: List[Tensor] = []
    for start, distances in distance_chunks(
        query.embedding, gallery.embedding, metric=protocol.metric, device=device
    ):
        distances = distances[:, kept.to(distances.device)]
        pairs = matches.pairs(start, start + len(distances))
        row = torch.from_numpy(pairs.row[~pairs.is_hit])
        column = torch.from_numpy(pairs.column[~pairs.is_hit])
        distances[row.to(distances.device), column.to(distances.device)] = float("inf")
        ordered, order = distances.sort(dim=1, stable=True)
        positions.append(order[:, :top_k].cpu())
        nearest.append(ordered[:, :top_k].cpu())
    if not positions:
        empty = torch.zeros(0, top_k)
        return RankedGallery(empty.long(), empty, empty.bool())

    distance = _widen(torch.cat(nearest), top_k, float("inf"))
    position = _widen(kept[torch.cat(positions)], top_k, -1)
    is_dropped = distance == float("inf")
    identity = gallery.identity.cpu()[position]
    return RankedGallery(
        position=position.masked_fill(is_dropped, -1),
        distance=distance.masked_fill(is_dropped, float("nan")),
        is_match=(identity == query.identity.cpu()[:, None]) & ~is_dropped,
    )


def _widen(lists: Tensor, top_k: int, fill: float) -> Tensor:
    missing = top_k - lists.shape[1]
    return torch.nn.functional.pad(lists, (0, missing), value=fill)
