# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Iterator, Optional, Tuple, Union

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.distance import default_chunk_size, DistanceChunk
from torchmultimodal_reid.evaluation.exact_product import aligned_empty, exact_product
from torchmultimodal_reid.evaluation.joint_features import JointFeatures
from torchmultimodal_reid.evaluation.k_reciprocal import (
    average_over_neighbours,
    half_of,
    reciprocal_weights,
)
from torchmultimodal_reid.evaluation.neighbours import nearest_neighbours
from torchmultimodal_reid.evaluation.sparse_rows import (
    entries_of,
    in_pieces,
    SparseRows,
    transpose,
)

# Pairs of a query and a gallery item, once for each neighbour that they share, that are held at a time
SHARED_PAIRS = 2**21
SHARED_ROWS = 128
# The gallery items that have a neighbour come in pieces of so many
PIECE = 16
# Queries whose products are made at a time, at most
PRODUCT_ROWS = 640


def re_rank(
    query_features: Tensor,
    gallery_features: Tensor,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
    *,
    metric: str = "euclidean",
    device: Optional[Union[str, torch.device]] = None,
) -> "ReRankedDistances":
    """Distances after k-reciprocal re-ranking, for :func:`~torchmultimodal_reid.evaluation.ranking.evaluate_distances`.

    Two images are near if their k-reciprocal neighbours among queries and gallery are the same, by the Jaccard
    distance; a share of the original distance is kept. Reference: https://arxiv.org/abs/1701.08398, as reid-strong-
    baseline has it: squared Euclidean distances divided by each image's greatest, lists of ``k1 + 1`` with the image
    itself among them, ``2/3`` overlap, equal distances in the order of queries, then gallery. Weights are float32.

    Neither the square matrix of distances nor that of weights is made: neighbours come from blocks of distances,
    weights are sparse, and the result is made some queries at a time, each time that it is asked for. No identity or
    camera is used, but queries are neighbours of one another: results depend on which queries there are.

    Args:
        query_features (Tensor): Shape ``(q, d)``, any floating dtype.
        gallery_features (Tensor): Shape ``(n, d)``, any floating dtype.
        k1 (int): Neighbours that count as such. More than there are images are all images. Default: 20
        k2 (int): Nearest images, the image itself among them, over whose weights the mean is taken; 1 for none.
            Default: 6
        lambda_value (float): Share of the original distance, in 0..1. Default: 0.3
        metric (str): ``"euclidean"``, or ``"cosine"``: features are divided by their lengths first.
            Default: ``"euclidean"``
        device (Optional[Union[str, torch.device]]): Where to compute. Default: ``None``, where the gallery is

    Returns:
        ReRankedDistances: Of shape ``(q, n)``, in 0..1.

    Raises:
        ValueError: If shapes do not fit, either set is empty, a feature is NaN or infinite, or an option is out of
            its range.
    """
    for name, value in (("k1", k1), ("k2", k2)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if not 0 <= lambda_value <= 1:
        raise ValueError(f"lambda_value must be in 0..1, got {lambda_value}")
    features = JointFeatures(query_features, gallery_features, metric, device)
    neighbours = nearest_neighbours(features, (k2, half_of(k1), k1 + 1))
    weights = reciprocal_weights(features, neighbours, k1)
    if k2 > 1:
        weights = average_over_neighbours(weights, neighbours.index[:, :k2])
    farthest = neighbours.farthest[: features.num_queries]
    return ReRankedDistances(features, farthest, weights, lambda_value)


class ReRankedDistances:
    """What :func:`re_rank` returns: distances from queries to the gallery, made some queries at a time.

    A :class:`~torchmultimodal_reid.evaluation.distance.QueryDistances`.
    """

    def __init__(
        self,
        features: JointFeatures,
        farthest: Tensor,
        weights: SparseRows,
        lambda_value: float,
    ) -> None:
        self._features = features
        self._farthest = farthest
        self._lambda = lambda_value
        num_queries, num_points = features.num_queries, len(features)
        self._queries = weights.slice(0, num_queries)
        # for each point the gallery items that have it as a neighbour
        having = transpose(weights.slice(num_queries, num_points), num_points)
        self._having = in_pieces(having, PIECE)
        pairs = self._having.counts[self._queries.column] * PIECE
        total = torch.nn.functional.pad(pairs.cumsum(0), (1, 0))
        self._pairs_before = total[self._queries.start].tolist()

    @property
    def shape(self) -> Tuple[int, int]:
        """Queries and gallery items."""
        num_queries = self._features.num_queries
        return num_queries, len(self._features) - num_queries

    def chunks(self, chunk_size: Optional[int] = None) -> Iterator[DistanceChunk]:
        """The distances of all queries in order, ``chunk_size`` at a time or as many as fill 64 MiB.

        Yields:
            DistanceChunk: All share one buffer: copy what must outlive the step.
        """
        if chunk_size is not None and chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
        num_queries, num_gallery = self.shape
        rows = min(chunk_size or default_chunk_size(num_gallery), num_queries)
        device = self._features.rows.device
        buffer = torch.empty(rows, num_gallery, device=device)
        # equal parts: products of few rows take long for what they are
        parts = -(-rows // PRODUCT_ROWS)
        product = aligned_empty(-(-rows // parts), num_gallery, device)
        for start in range(0, num_queries, rows):
            distances = buffer[: min(rows, num_queries - start)]
            for first in range(0, len(distances), len(product)):
                part = distances[first : first + len(product)]
                self._original(start + first, product[: len(part)], part)
            self._subtract_shared(start, distances)
            yield DistanceChunk(start, distances)

    def dense(self) -> Tensor:
        """The whole matrix, of shape ``(q, n)``, float32."""
        return torch.cat([chunk.distances.clone() for chunk in self.chunks()])

    def _original(self, start: int, product: Tensor, out: Tensor) -> None:
        """The share of the original distance, and 1 for the rest, as if no neighbour were shared."""
        features, queries = self._features, slice(start, start + len(out))
        farthest = self._farthest[queries].clamp_min(torch.finfo(torch.float32).tiny)
        scale = (self._lambda / farthest)[:, None]
        gallery = slice(features.num_queries, None)
        exact_product(features.rows[queries] * -2, features.rows[gallery].T, product)
        product += features.norms[gallery]
        product += features.norms[queries, None]
        torch.add(product.clamp_min_(0).mul_(scale), 1 - self._lambda, out=out)

    def _subtract_shared(self, start: int, out: Tensor) -> None:
        """Takes off the weight that a query and a gallery item have in common, as a share of what both have."""
        before, stop = self._pairs_before, start + len(out)
        shared = torch.empty(min(SHARED_ROWS, len(out)), out.shape[1]).to(out.device)
        first = start
        while first < stop:
            last = first + 1
            while (
                last < min(stop, first + SHARED_ROWS)
                and before[last + 1] - before[first] <= SHARED_PAIRS
            ):
                last += 1
            part = shared[: last - first].zero_()
            self._add_shared(first, last, part)
            rows = out[first - start : last - start]
            rows.sub_(part.div_(2 - part), alpha=1 - self._lambda)
            first = last

    def _add_shared(self, first: int, last: int, out: Tensor) -> None:
        queries = self._queries.slice(first, last)
        place, piece = entries_of(self._having, queries.column)
        value = self._having.value.index_select(0, piece)
        torch.minimum(value, queries.value[place, None], out=value)
        # what fills a piece up adds nothing to a row's first cell
        row_start = (queries.row * out.shape[1]).int()
        cell = self._having.column.index_select(0, piece)
        cell += row_start[place, None]
        out.view(-1).index_add_(0, cell.flatten(), value.flatten())
