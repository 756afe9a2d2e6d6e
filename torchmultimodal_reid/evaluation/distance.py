# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Iterator, NamedTuple, Optional, Protocol, Tuple, Union

import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.exact_product import exact_product

METRICS = ("cosine", "euclidean")

# Distances of one chunk take about this much, so that memory does not follow the number of queries
CHUNK_BYTES = 64 * 2**20
MIN_CHUNK_ROWS = 64
NORM_ROWS = 4096


class DistanceChunk(NamedTuple):
    start: int  # row of the first query of the chunk
    distances: Tensor  # shape: (c, n), float32, overwritten by the next chunk


class QueryDistances(Protocol):
    """Distances from queries to a gallery that are made some queries at a time, each time that they are asked for.

    What can only be had so, such as re-ranked distances, is evaluated without its matrix.
    """

    @property
    def shape(self) -> Tuple[int, int]:
        """Queries and gallery items."""

    def chunks(self, chunk_size: Optional[int] = None) -> Iterator[DistanceChunk]:
        """All queries in order, ``chunk_size`` at a time, or as many as fill 64 MiB."""


def distance_chunks(
    query_features: Tensor,
    gallery_features: Tensor,
    *,
    metric: str = "cosine",
    chunk_size: Optional[int] = None,
    device: Optional[Union[str, torch.device]] = None,
) -> Iterator[DistanceChunk]:
    """Distances between queries and the gallery, some queries at a time, in float32.

    The distances are for comparing: ``"cosine"`` gives the negated cosine similarity (-1 nearest, 1 farthest), which
    orders as ``1 - cosine`` without the ties that its rounding would add; ``"euclidean"`` gives the squared distance.
    Features of a lower precision are multiplied in float32, because eight bits of mantissa would tie most of a gallery;
    so TF32 is not used either, even where it is allowed.

    Args:
        query_features (Tensor): Shape ``(q, d)``, any floating dtype.
        gallery_features (Tensor): Shape ``(n, d)``, any floating dtype.
        metric (str): ``"cosine"`` or ``"euclidean"``. Default: ``"cosine"``
        chunk_size (Optional[int]): Queries a chunk. Default: ``None``, as many as fill 64 MiB
        device (Optional[Union[str, torch.device]]): Where to compute. Default: ``None``, where the gallery is

    Yields:
        DistanceChunk: The chunks in the order of the queries. All share one buffer: copy what must outlive the step.

    Raises:
        ValueError: If the shapes do not fit, a feature is NaN or infinite, or ``metric`` is unknown.
    """
    check_features(query_features, gallery_features, metric, chunk_size)
    device = gallery_features.device if device is None else torch.device(device)
    num_queries, num_gallery = len(query_features), len(gallery_features)
    rows = chunk_size or default_chunk_size(num_gallery)
    gallery = gallery_features.detach().to(device)
    gallery_norm = squared_norms(gallery, "gallery_features")
    inverse_norm = gallery_norm.clamp_min(1e-24).rsqrt()
    buffer = torch.empty(min(rows, num_queries), num_gallery, device=device)

    for start in range(0, num_queries, rows):
        query = query_features[start : start + rows].detach().to(device).float()
        query_norm = squared_norms(query, "query_features", start)
        distances = buffer[: len(query)]
        if metric == "cosine":
            # the signs and norms go to the small factors: the gallery is neither copied nor scaled
            query = query * -query_norm.clamp_min(1e-24).rsqrt()[:, None]
            _multiply(query, gallery, distances)
            distances.mul_(inverse_norm)
        else:
            _multiply(query * -2, gallery, distances)
            distances.add_(gallery_norm).add_(query_norm[:, None])
        yield DistanceChunk(start, distances)


def default_chunk_size(num_gallery: int) -> int:
    """Queries whose distances to ``num_gallery`` images fill about 64 MiB, at least 64."""
    return max(MIN_CHUNK_ROWS, CHUNK_BYTES // (4 * max(num_gallery, 1)))


def _multiply(query: Tensor, gallery: Tensor, out: Tensor) -> None:
    if gallery.dtype == torch.float32:
        exact_product(query, gallery.T, out)
        return
    # a float32 copy of a whole half-precision gallery would be twice its size
    step = max(1, CHUNK_BYTES // (8 * max(gallery.shape[1], 1)))
    for start in range(0, len(gallery), step):
        part = gallery[start : start + step].float()
        exact_product(query, part.T, out[:, start : start + step])


def squared_norms(features: Tensor, name: str, offset: int = 0) -> Tensor:
    """Squared lengths of the rows, in float32; a row that is not finite is an error that names it."""
    # in parts, so that lower precisions are never copied whole
    parts = [
        torch.linalg.vector_norm(part.float(), dim=1).square()
        for part in features.split(NORM_ROWS)
    ]
    norms = torch.cat(parts) if parts else torch.zeros(0, device=features.device)
    is_finite = norms.isfinite()
    if not is_finite.all():
        row = int((~is_finite).nonzero()[0]) + offset
        raise ValueError(
            f"{name} must be finite, but row {row} holds NaN, an infinity or values too large to square"
        )
    return norms


def check_features(
    query: Tensor, gallery: Tensor, metric: str, chunk_size: Optional[int] = None
) -> None:
    """Raises a ValueError if two sets of features do not fit each other, or an option is not one."""
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {METRICS}, got {metric!r}")
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
    shapes: Tuple[Tuple[str, Tensor], ...] = (
        ("query_features", query),
        ("gallery_features", gallery),
    )
    for name, features in shapes:
        if features.dim() != 2 or not features.is_floating_point():
            raise ValueError(
                f"{name} must be floating-point of shape (rows, dim), got {features.dtype} of shape "
                f"{tuple(features.shape)}"
            )
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(
            "query_features and gallery_features must have the same dimension, got "
            f"{query.shape[1]} and {gallery.shape[1]}"
        )
