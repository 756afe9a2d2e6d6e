# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""k-reciprocal re-ranking by whole matrices in NumPy, image after image: what the library's is measured against."""

import numpy as np


def reciprocal(ranks: np.ndarray, image: int, length: int) -> np.ndarray:
    """The images that are among an image's nearest and have it among their own."""
    forward = ranks[image, :length]
    return forward[np.where(ranks[forward, :length] == image)[0]]


def dense_re_ranking(
    query: np.ndarray,
    gallery: np.ndarray,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
    *,
    by_rows: bool = False,
    dtype: type = np.float32,
) -> np.ndarray:
    """Distances of shape ``(q, n)`` after re-ranking. Reference: https://arxiv.org/abs/1701.08398.

    Args:
        query (np.ndarray): Shape ``(q, d)``.
        gallery (np.ndarray): Shape ``(n, d)``.
        k1 (int): Neighbours. Default: 20
        k2 (int): Images over which weights are averaged. Default: 6
        lambda_value (float): Share of the original distance. Default: 0.3
        by_rows (bool): Whether matrices lie row by row in memory. Toolkits transpose the normalised distances without
            moving them, which makes every later access to a row a walk over columns. Default: False, as they do
        dtype (type): Of distances, so of how well near ties are told apart. Default: ``np.float32``
    """
    num_queries = len(query)
    points = np.concatenate([query, gallery]).astype(dtype)
    count = len(points)
    norms = (points**2).sum(1)
    original = norms[:, None] + norms - 2 * (points @ points.T)
    original = (original / original.max(0)).T
    if by_rows:
        original = np.ascontiguousarray(original)
    ranks = np.argsort(original, kind="stable" if dtype is np.float64 else None)
    ranks = ranks.astype(np.int32)

    weights = np.zeros_like(original, dtype=np.float32)
    short = int(np.around(k1 / 2)) + 1
    for image in range(count):
        own = reciprocal(ranks, image, k1 + 1)
        members = own
        for other in own:
            candidates = reciprocal(ranks, other, short)
            if len(np.intersect1d(candidates, own)) > 2 / 3 * len(candidates):
                members = np.append(members, candidates)
        members = np.unique(members)
        weight = np.exp(-original[image, members])
        weights[image, members] = weight / weight.sum()
    original = original[:num_queries].copy()
    if k2 != 1:
        averaged = np.zeros_like(weights)
        for image in range(count):
            averaged[image] = weights[ranks[image, :k2]].mean(0)
        weights = averaged
    del ranks

    having = [np.where(weights[:, image] != 0)[0] for image in range(count)]
    result = np.empty((num_queries, count - num_queries), dtype=np.float32)
    for image in range(num_queries):
        smaller = np.zeros(count, dtype=np.float32)
        for column in np.where(weights[image] != 0)[0]:
            rows = having[column]
            smaller[rows] += np.minimum(weights[image, column], weights[rows, column])
        jaccard = 1 - smaller / (2 - smaller)
        final = jaccard * (1 - lambda_value) + original[image] * lambda_value
        result[image] = final[num_queries:]
    return result
