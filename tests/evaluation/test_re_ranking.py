# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from contextlib import AbstractContextManager
from typing import Any, Callable, Tuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor
from torchmultimodal_reid.evaluation import k_reciprocal, re_ranking
from torchmultimodal_reid.evaluation.ranking import evaluate_distances, rank_distances
from torchmultimodal_reid.evaluation.re_ranking import re_rank
from torchmultimodal_reid.utils.seeding import generator_for

SearchWith = Callable[..., AbstractContextManager[None]]


def dense_reference(
    query: Tensor, gallery: Tensor, k1: int, k2: int, lambda_value: float
) -> np.ndarray:
    """The algorithm of the paper with whole matrices, one image at a time; neighbours by a stable argsort."""
    points = torch.cat([query, gallery]).double().numpy()
    count, num_queries = len(points), len(query)
    original = np.stack([((points - point) ** 2).sum(1) for point in points])
    original = original / np.maximum(original.max(0), 1e-300)[:, None]
    ranks = np.argsort(original, axis=1, kind="stable")

    def reciprocal(image: int, length: int) -> np.ndarray:
        forward = ranks[image, :length]
        return np.array([j for j in forward if image in ranks[j, :length]], dtype=int)

    weights = np.zeros((count, count), dtype=np.float32)
    short = int(np.around(k1 / 2)) + 1
    for image in range(count):
        own = reciprocal(image, k1 + 1)
        members = own
        for other in own:
            candidates = reciprocal(other, short)
            if len(np.intersect1d(candidates, own)) > 2 / 3 * len(candidates):
                members = np.append(members, candidates)
        members = np.unique(members)
        weight = np.exp(-original[image, members]).astype(np.float32)
        weights[image, members] = weight / weight.sum()
    if k2 != 1:
        weights = np.stack([weights[ranks[i, :k2]].mean(0) for i in range(count)])
    jaccard = np.zeros((num_queries, count), dtype=np.float32)
    for image in range(num_queries):
        smaller = np.minimum(weights[image], weights).sum(1)
        jaccard[image] = 1 - smaller / (2 - smaller)
    final = jaccard * (1 - lambda_value) + original[:num_queries] * lambda_value
    return final[:, num_queries:]


def features(kind: str, queries: int, gallery: int, seed: int) -> Tuple[Tensor, Tensor]:
    generator = generator_for(seed, kind)
    shape = (queries + gallery, 8)
    if kind == "ties":  # corners of a cube: few distances, many equal points
        points = torch.randint(2, shape, generator=generator).float()
    elif kind == "copies":
        points = torch.randn(5, 8, generator=generator)
        points = points[torch.randint(5, shape[:1], generator=generator)]
    else:
        points = torch.randn(shape, generator=generator)
        if kind == "clusters":
            centers = torch.randn(6, 8, generator=generator) * 4
            points += centers[torch.randint(6, shape[:1], generator=generator)]
    return points[:queries], points[queries:]


KINDS = ["random", "clusters", "ties", "copies"]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(KINDS),
    queries=st.integers(1, 12),
    gallery=st.integers(1, 50),
    k1=st.sampled_from([1, 2, 3, 5, 7, 20, 30]),
    k2=st.sampled_from([1, 2, 6, 40]),
    lambda_value=st.sampled_from([0.0, 0.3, 1.0]),
    block=st.sampled_from([16, 33, 1000]),
    products=st.sampled_from(["float32", "bfloat16"]),
    seed=st.integers(0, 50),
)
def test_equals_the_dense_algorithm(
    search_with: SearchWith,
    kind: str,
    queries: int,
    gallery: int,
    k1: int,
    k2: int,
    lambda_value: float,
    block: int,
    products: str,
    seed: int,
) -> None:
    query_features, gallery_features = features(kind, queries, gallery, seed)
    options: Any = (k1, k2, lambda_value)
    expected = dense_reference(query_features, gallery_features, *options)
    sizes = {"BLOCK_ROWS": block, "SPARE": 1 + seed % 3, "PAIRS": 400}
    with search_with(products, **sizes), pytest.MonkeyPatch.context() as patch:
        patch.setattr(k_reciprocal, "COMPARISONS", 5_000)
        patch.setattr(re_ranking, "SHARED_PAIRS", 500)
        patch.setattr(re_ranking, "PIECE", 1 + seed % 5)
        patch.setattr(re_ranking, "PRODUCT_ROWS", 1 + seed % 4)
        re_ranked = re_rank(query_features, gallery_features, *options)
    assert re_ranked.shape == (queries, gallery)
    np.testing.assert_allclose(re_ranked.dense(), expected, rtol=0, atol=1e-5)


def test_queries_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # as where a query has more pairs than are worked on at once; of three, the last has no other beside it
    query, gallery = features("random", 3, 20, seed=0)
    together = re_rank(query, gallery, 5, 2, 0.3).dense()
    monkeypatch.setattr(re_ranking, "SHARED_PAIRS", 0)
    torch.testing.assert_close(re_rank(query, gallery, 5, 2, 0.3).dense(), together)


def test_hard_points_by_either_product(
    search_with: SearchWith, hard_points: Tensor
) -> None:
    query, gallery = hard_points[:9], hard_points[9:]
    expected = dense_reference(query, gallery, 7, 3, 0.3)
    with search_with("float32"):
        re_ranked = re_rank(query, gallery, 7, 3, 0.3).dense()
    np.testing.assert_allclose(re_ranked, expected, rtol=0, atol=1e-5)
    with search_with("bfloat16", BLOCK_ROWS=16, SPARE=2):
        assert torch.equal(re_rank(query, gallery, 7, 3, 0.3).dense(), re_ranked)


@pytest.mark.parametrize("kind", KINDS)
def test_streams_into_the_metrics(kind: str) -> None:
    query, gallery = features(kind, 20, 150, 1)
    identities = torch.arange(170) % 9
    cameras = torch.arange(170) % 4
    labels = (identities[:20], identities[20:], cameras[:20], cameras[20:])
    re_ranked = re_rank(query, gallery)
    actual = evaluate_distances(re_ranked, *labels, tpr_at_fpr=[0.1])
    # of the same matrix, and of the dense algorithm's
    for matrix, tolerance in (
        (re_ranked.dense(), 0.0),
        (torch.from_numpy(dense_reference(query, gallery, 20, 6, 0.3)), 1e-6),
    ):
        if tolerance and kind in ("ties", "copies"):
            # what is equal in one is apart by rounding in the other: they rank in the same order only once it is gone
            matrix = matrix.float()
            assert (matrix - re_ranked.dense()).abs().max() < 1e-6
            continue
        expected = evaluate_distances(matrix, *labels, tpr_at_fpr=[0.1])
        assert actual.mAP == pytest.approx(expected.mAP, abs=tolerance)
        assert actual.mINP == pytest.approx(expected.mINP, abs=tolerance)
        torch.testing.assert_close(actual.cmc, expected.cmc, rtol=0, atol=tolerance)
    ranks = rank_distances(re_ranked, *labels)
    assert float(ranks.average_precision.nanmean()) == pytest.approx(actual.mAP)


def test_chunks_are_rows_of_the_matrix() -> None:
    re_ranked = re_rank(*features("clusters", 7, 30, 0))
    for chunk_size in (1, 3, 7, 100):
        starts, parts = [], []
        for start, distances in re_ranked.chunks(chunk_size):
            starts.append(start)
            parts.append(distances.clone())
        assert starts == list(range(0, 7, chunk_size))
        torch.testing.assert_close(torch.cat(parts), re_ranked.dense())
    with pytest.raises(ValueError, match="chunk_size must be at least 1, got 0"):
        list(re_ranked.chunks(0))


def test_a_closed_case() -> None:
    # two pairs far apart; k1 = 1: each point's only reciprocal neighbour is its partner
    query, gallery = torch.tensor([[0.0], [10.0]]), torch.tensor([[1.0], [11.0]])
    actual = re_rank(query, gallery, k1=1, k2=1, lambda_value=0.3).dense()
    # the weights of a pair: 1 and exp(-share) over their sum, the other way round for the partner
    for i, farthest in enumerate((121.0, 100.0)):
        shares = (1 / farthest, 1 / (100.0, 121.0)[i])
        a, b = (1 / (1 + np.exp(-share)) for share in shares)
        smaller = min(a, 1 - b) + min(1 - a, b)
        original = 0.3 * 1 / farthest
        expected = 0.7 * (1 - smaller / (2 - smaller)) + original
        assert float(actual[i, i]) == pytest.approx(expected, abs=1e-6)
    # nothing in common: the farthest point of the first query, 81 of 100 for the second
    assert float(actual[0, 1]) == pytest.approx(1.0, abs=1e-6)
    assert float(actual[1, 0]) == pytest.approx(0.7 + 0.3 * 0.81, abs=1e-6)


def test_cosine_is_of_normalised_features() -> None:
    query, gallery = features("random", 6, 40, 3)
    scaled = gallery * torch.rand(40, 1, generator=generator_for(1)).add(0.5)
    actual = re_rank(query * 3, scaled, metric="cosine").dense()
    normalise = torch.nn.functional.normalize
    expected = re_rank(normalise(query), normalise(gallery)).dense()
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    query, gallery = (part.to(dtype) for part in features("clusters", 6, 40, 3))
    expected = dense_reference(query, gallery, 20, 6, 0.3)
    actual = re_rank(query, gallery).dense()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def test_one_point_many_times_is_at_no_distance() -> None:
    # every point is as far as any other: the first 21 have each other, later ones are in no list
    actual = re_rank(torch.ones(2, 4), torch.ones(60, 4)).dense()
    assert actual.isfinite().all()
    expected = dense_reference(torch.ones(2, 4), torch.ones(60, 4), 20, 6, 0.3)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def test_features_are_not_changed() -> None:
    query, gallery = features("random", 4, 30, 0)
    before = query.clone(), gallery.clone()
    re_rank(query, gallery, metric="cosine").dense()
    assert torch.equal(query, before[0]) and torch.equal(gallery, before[1])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"k1": 0}, "k1 must be at least 1, got 0"),
        ({"k2": 0}, "k2 must be at least 1, got 0"),
        ({"lambda_value": 1.5}, r"lambda_value must be in 0..1, got 1.5"),
        ({"metric": "manhattan"}, "metric must be one of"),
        ({"gallery_features": torch.zeros(0, 8)}, "one gallery item are needed, got 4"),
        ({"gallery_features": torch.zeros(3, 7)}, "same dimension, got 8 and 7"),
        (
            {"gallery_features": torch.full((3, 8), float("nan"))},
            "gallery_features must be finite, but row 0",
        ),
        (
            {"query_features": torch.full((3, 8), float("inf"))},
            "query_features must be finite, but row 0",
        ),
    ],
)
def test_bad_input(options: Any, message: str) -> None:
    query, gallery = features("random", 4, 30, 0)
    with pytest.raises(ValueError, match=message):
        re_rank(
            **{"query_features": query, "gallery_features": gallery, **options}  # type: ignore[arg-type]
        )


def test_rows_of_the_result_must_be_labelled() -> None:
    re_ranked = re_rank(*features("random", 4, 30, 0))
    with pytest.raises(ValueError, match="one entry for each of the 4 query rows"):
        evaluate_distances(re_ranked, torch.arange(5), torch.arange(30))
