# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional

import pytest
import torch
from torch import Tensor
from torchmultimodal_reid.evaluation import distance
from torchmultimodal_reid.evaluation.distance import default_chunk_size, distance_chunks

QUERY = torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]])
GALLERY = torch.tensor([[6.0, 8.0], [0.0, -1.0]])
COSINE = torch.tensor([[-1.0, 0.8], [-0.8, 1.0], [-0.6, 0.0]])
EUCLIDEAN = torch.tensor([[25.0, 34.0], [72.0, 9.0], [89.0, 2.0]])


def collect(
    query: Tensor, gallery: Tensor, metric: str, chunk_size: Optional[int] = None
) -> Tensor:
    chunks = distance_chunks(query, gallery, metric=metric, chunk_size=chunk_size)
    return torch.cat([part.distances.clone() for part in chunks])


@pytest.mark.parametrize("chunk_size", [None, 1, 2, 3, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_values(chunk_size: Optional[int], dtype: torch.dtype) -> None:
    query, gallery = QUERY.to(dtype), GALLERY.to(dtype)
    actual = collect(query, gallery, "cosine", chunk_size)
    torch.testing.assert_close(actual, COSINE, rtol=0, atol=1e-6)
    actual = collect(query, gallery, "euclidean", chunk_size)
    torch.testing.assert_close(actual, EUCLIDEAN, rtol=0, atol=1e-4)


def test_starts() -> None:
    starts = [part.start for part in distance_chunks(QUERY, GALLERY, chunk_size=2)]
    assert starts == [0, 2]


def test_half_precision_is_converted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distance, "CHUNK_BYTES", 48)  # three rows a part
    gallery = torch.arange(14.0).reshape(7, 2)
    actual = collect(QUERY.bfloat16(), gallery.bfloat16(), "euclidean", 2)
    expected = (QUERY[:, None] - gallery).square().sum(2)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-4)


def test_a_zero_feature_is_at_right_angles_to_all() -> None:
    assert collect(torch.zeros(1, 2), GALLERY, "cosine").tolist() == [[0.0, 0.0]]


def test_chunks_do_not_grow_with_the_gallery() -> None:
    assert default_chunk_size(16_000) * 16_000 * 4 <= 64 * 2**20
    assert default_chunk_size(10**9) == 64
    assert default_chunk_size(0) > 0


@pytest.mark.parametrize(
    "query, gallery, metric, message",
    [
        (QUERY, GALLERY, "manhattan", "metric must be one of .* got 'manhattan'"),
        (QUERY, GALLERY[:, :1], "cosine", "same dimension, got 2 and 1"),
        (
            QUERY[0],
            GALLERY,
            "cosine",
            r"query_features must be floating-point .* \(2,\)",
        ),
        (QUERY, GALLERY.long(), "cosine", "gallery_features must be .* torch.int64"),
        (QUERY / 0, GALLERY, "cosine", "query_features must be finite, but row 0"),
        (QUERY, GALLERY.log(), "cosine", "gallery_features must be finite, but row 1"),
    ],
)
def test_bad_features(
    query: Tensor, gallery: Tensor, metric: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        collect(query, gallery, metric)


def test_the_row_of_a_bad_query_is_named_across_chunks() -> None:
    query = QUERY.clone()
    query[2, 1] = float("inf")
    with pytest.raises(ValueError, match="row 2"):
        collect(query, GALLERY, "cosine", chunk_size=2)


def test_bad_chunk_size() -> None:
    with pytest.raises(ValueError, match="chunk_size must be at least 1, got 0"):
        collect(QUERY, GALLERY, "cosine", 0)
