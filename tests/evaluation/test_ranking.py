# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor
from torchmultimodal_reid.evaluation.distance import DistanceChunk
from torchmultimodal_reid.evaluation.ranking import (
    average_ranks,
    evaluate_distances,
    evaluate_ranking,
    rank_distances,
    rank_queries,
)

Cameras = Optional[List[int]]


class Case(NamedTuple):
    distances: List[List[int]]
    query_identities: List[int]
    gallery_identities: List[int]
    query_cameras: Cameras
    gallery_cameras: Cameras

    def labels(self) -> Tuple[Tensor, Tensor, Optional[Tensor], Optional[Tensor]]:
        cameras = [self.query_cameras, self.gallery_cameras]
        return (
            torch.tensor(self.query_identities),
            torch.tensor(self.gallery_identities),
            *(None if c is None else torch.tensor(c) for c in cameras),  # type: ignore[return-value]
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Few values, identities and cameras: ties, junk, distractors, lone cameras and queries without a match abound."""
    num_queries, num_gallery = draw(st.integers(1, 5)), draw(st.integers(1, 24))

    def many(low: int, high: int, count: int) -> List[int]:
        number = st.integers(low, high)
        return draw(st.lists(number, min_size=count, max_size=count))

    last_distance = draw(st.sampled_from([0, 2, 6, 1000]))
    last_camera = draw(st.integers(0, 2))
    has_cameras = draw(st.booleans())
    return Case(
        [many(0, last_distance, num_gallery) for _ in range(num_queries)],
        many(1, 4, num_queries),
        many(-1, 4, num_gallery),
        many(0, last_camera, num_queries) if has_cameras else None,
        many(0, last_camera, num_gallery) if has_cameras else None,
    )


def ranked_answers(case: Case, query: int) -> List[bool]:
    """The query's ranked list as right and wrong, straight from the definition."""
    identity = case.query_identities[query]
    order = sorted(
        range(len(case.gallery_identities)), key=lambda j: case.distances[query][j]
    )
    answers = []
    for j in order:
        is_same = case.gallery_identities[j] == identity
        if case.gallery_identities[j] == -1:
            continue
        if is_same and case.query_cameras is not None:
            assert case.gallery_cameras is not None
            if case.gallery_cameras[j] == case.query_cameras[query]:
                continue
        answers.append(is_same)
    return answers


def brute_force(case: Case, max_rank: int) -> Optional[Dict[str, Any]]:
    """All metrics, item by item, as the Matlab code and the textbooks write them; None without any match."""
    found: Dict[str, List[float]] = {"hits": [], "trapezoid": [], "inp": []}
    curves = []
    for query in range(len(case.query_identities)):
        answers = ranked_answers(case, query)
        relevant = sum(answers)
        if relevant == 0:
            continue
        precision_sum, area, seen = 0.0, 0.0, 0
        old_recall, old_precision = 0.0, 1.0
        for rank, is_right in enumerate(answers, start=1):
            seen += is_right
            recall, precision = seen / relevant, seen / rank
            precision_sum += precision if is_right else 0.0
            area += (recall - old_recall) * (old_precision + precision) / 2
            old_recall, old_precision = recall, precision
        hardest = max(rank for rank, right in enumerate(answers, 1) if right)
        found["hits"].append(precision_sum / relevant)
        found["trapezoid"].append(area)
        found["inp"].append(relevant / hardest)
        first = answers.index(True) + 1
        curves.append([float(first <= k) for k in range(1, max_rank + 1)])
    if not curves:
        return None
    means: Dict[str, Any] = {name: np.mean(values) for name, values in found.items()}
    return {**means, "cmc": np.mean(curves, axis=0), "valid": len(curves)}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(case=cases(), max_rank=st.integers(1, 30))
def test_equals_brute_force(case: Case, max_rank: int) -> None:
    expected = brute_force(case, max_rank)
    distances = torch.tensor(case.distances, dtype=torch.float32)
    if expected is None:
        with pytest.raises(ValueError, match="has a match"):
            evaluate_distances(distances, *case.labels())
        return
    actual = evaluate_distances(distances, *case.labels(), max_rank=max_rank)
    assert actual.mAP == pytest.approx(expected["hits"], abs=1e-12)
    assert actual.mAP_trapezoid == pytest.approx(expected["trapezoid"], abs=1e-12)
    assert actual.mINP == pytest.approx(expected["inp"], abs=1e-12)
    np.testing.assert_allclose(actual.cmc, expected["cmc"], rtol=0, atol=1e-12)
    assert actual.num_valid_queries == expected["valid"]
    assert actual.num_queries == len(case.query_identities)


def kinds_in(case: Case) -> List[str]:
    """What makes a case hard."""
    cameras: Dict[int, set] = {}
    for identity, camera in zip(case.gallery_identities, case.gallery_cameras or ()):
        cameras.setdefault(identity, set()).add(camera)
    known = set(case.query_identities)
    has_answer = [any(ranked_answers(case, i)) for i in range(len(case.distances))]
    kinds = {
        "ties": any(len(set(row)) < len(row) for row in case.distances),
        "junk": -1 in case.gallery_identities,
        "distractors": 0 in case.gallery_identities,
        "single camera": any(len(cameras.get(i, ())) == 1 for i in known),
        "no match": not all(has_answer) and any(has_answer),
        "no match at all": not any(has_answer),
        "no cameras": case.query_cameras is None,
    }
    return [kind for kind, is_there in kinds.items() if is_there]


def test_every_kind_of_case_is_among_200() -> None:
    counts: Dict[str, int] = {}

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(case=cases())
    def count(case: Case) -> None:
        for kind in kinds_in(case):
            counts[kind] = counts.get(kind, 0) + 1

    count()
    assert len(counts) == 7
    assert min(counts.values()) >= 5, counts


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    case=cases(),
    chunk_size=st.integers(1, 6),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float64]),
    metric=st.sampled_from(["cosine", "euclidean"]),
)
def test_features_equal_their_distances(
    case: Case, chunk_size: int, dtype: torch.dtype, metric: str
) -> None:
    # corners of a cube of 16 dimensions: norms and products are exact in any precision, and often equal
    def corners(rows: int, salt: int) -> Tensor:
        steps = torch.arange(rows)[:, None] * 7 + torch.arange(16) * (salt + 3)
        return torch.where((steps * steps + salt) % 5 < 2, 1.0, -1.0).to(dtype)

    salt = sum(case.gallery_identities) % 7
    query = corners(len(case.query_identities), salt)
    gallery = corners(len(case.gallery_identities), salt + 1)
    distances = -(query.double() @ gallery.double().T)
    exact = case._replace(distances=distances.tolist())
    expected = brute_force(exact, 50)
    if expected is None:
        return
    actual = evaluate_ranking(
        query, gallery, *case.labels(), metric=metric, chunk_size=chunk_size
    )
    assert actual.mAP == pytest.approx(expected["hits"], abs=1e-12)
    assert actual.mAP_trapezoid == pytest.approx(expected["trapezoid"], abs=1e-12)
    assert actual.mINP == pytest.approx(expected["inp"], abs=1e-12)
    np.testing.assert_allclose(actual.cmc, expected["cmc"], rtol=0, atol=1e-12)
    assert actual.num_valid_queries == expected["valid"]
    ranks = rank_queries(query, gallery, *case.labels(), metric=metric)
    assert average_ranks(ranks).mAP == actual.mAP


def test_both_average_precisions() -> None:
    # hits [no, yes, no]
    metrics = evaluate_distances(
        torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor([1]), torch.tensor([2, 1, 3])
    )
    assert metrics.mAP == 0.5
    assert metrics.mAP_trapezoid == 0.25
    assert metrics.mINP == 0.5
    assert metrics.cmc[:3].tolist() == [0.0, 1.0, 1.0]
    assert metrics.tpr_at_fpr is None


def test_query_ranks() -> None:
    distances = torch.tensor([[0.4, 0.1, 0.2, 0.3, 0.0], [0.0, 1.0, 2.0, 3.0, 4.0]])
    gallery_identities = torch.tensor([7, 7, 0, 7, -1])
    ranks = rank_distances(
        distances,
        torch.tensor([7, 8]),
        gallery_identities,
        torch.tensor([0, 0]),
        torch.tensor([1, 0, 0, 2, 1]),
    )
    # kept for the first query: distractor (0.2), hit (0.3), hit (0.4); one hit is under its camera, one item is junk
    assert ranks.num_hits.tolist() == [2, 0]
    assert ranks.first_rank.tolist() == [2, 0]
    assert ranks.hardest_rank.tolist() == [3, 0]
    assert ranks.is_valid.tolist() == [True, False]
    assert ranks.average_precision[0].item() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert ranks.average_precision[1].isnan()
    assert ranks.inverse_negative_penalty[0].item() == pytest.approx(2 / 3)


def test_matrix_is_not_changed() -> None:
    distances = torch.tensor([[0.3, 0.1, 0.2]])
    before = distances.clone()
    evaluate_distances(distances, torch.tensor([1]), torch.tensor([1, -1, 2]))
    assert torch.equal(distances, before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_matrix_of_any_precision(dtype: torch.dtype) -> None:
    distances = torch.tensor([[3.0, 1.0, 2.0]], dtype=dtype)
    metrics = evaluate_distances(distances, torch.tensor([1]), torch.tensor([1, 2, 2]))
    assert metrics.mINP == pytest.approx(1 / 3)


def test_float64_differences_count() -> None:
    # equal in float32
    distances = torch.tensor([[1.0 + 1e-12, 1.0]], dtype=torch.float64)
    metrics = evaluate_distances(distances, torch.tensor([1]), torch.tensor([2, 1]))
    assert metrics.cmc[0] == 1.0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    case=cases(),
    rates=st.lists(
        st.sampled_from([0, 0.1, 0.25, 0.5, 0.9, 1]), min_size=1, max_size=3
    ),
)
def test_tpr_at_fpr_equals_brute_force(case: Case, rates: List[float]) -> None:
    if brute_force(case, 1) is None:
        return
    right: List[int] = []
    wrong: List[int] = []
    for query, row in enumerate(case.distances):
        if not any(ranked_answers(case, query)):
            continue
        order = sorted(range(len(row)), key=row.__getitem__)
        kept = [
            j
            for j in order
            if case.gallery_identities[j] != -1
            and not (
                case.gallery_identities[j] == case.query_identities[query]
                and case.query_cameras is not None
                and case.gallery_cameras is not None
                and case.gallery_cameras[j] == case.query_cameras[query]
            )
        ]
        for j in kept:
            is_right = case.gallery_identities[j] == case.query_identities[query]
            (right if is_right else wrong).append(row[j])
    actual = evaluate_distances(
        torch.tensor(case.distances, dtype=torch.float32),
        *case.labels(),
        tpr_at_fpr=rates,
    ).tpr_at_fpr
    assert actual is not None
    for rate in rates:
        # the best over all thresholds t, accepting distances below t
        best = 0.0
        for threshold in [*sorted({*right, *wrong}), float("inf")]:
            accepted = sum(d < threshold for d in wrong)
            if accepted <= rate * len(wrong) + 1e-9:
                best = sum(d < threshold for d in right) / len(right)
        assert actual[rate] == pytest.approx(best, abs=1e-12)


def test_tpr_at_fpr_over_many_chunks() -> None:
    # for each of 40 queries the right item is the second of 101: of 4,000 wrong pairs 40 are nearer than any right one
    gallery = torch.arange(101.0)[:, None]
    metrics = evaluate_ranking(
        torch.zeros(40, 1),
        gallery,
        torch.ones(40, dtype=torch.long),
        gallery[:, 0].long(),
        metric="euclidean",
        chunk_size=3,
        tpr_at_fpr=(0.005, 0.00999, 0.01),
    )
    assert metrics.tpr_at_fpr == {0.005: 0.0, 0.00999: 0.0, 0.01: 1.0}


class Rows:
    """Distances that are made a row at a time, and never as a matrix."""

    def __init__(self, distances: Tensor) -> None:
        self.distances = distances
        self.shape = (distances.shape[0], distances.shape[1])

    def chunks(self, chunk_size: Optional[int] = None) -> Iterator[DistanceChunk]:
        buffer = torch.empty(1, self.shape[1])
        for start, row in enumerate(self.distances):
            buffer[0] = row
            yield DistanceChunk(start, buffer)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(case=cases())
def test_distances_that_come_in_parts(case: Case) -> None:
    distances = torch.tensor(case.distances, dtype=torch.float32)
    whole = rank_distances(distances, *case.labels())
    parts = rank_distances(Rows(distances), *case.labels())
    for given_part, expected in zip(parts, whole):
        torch.testing.assert_close(given_part, expected, rtol=0, atol=0, equal_nan=True)


LABELS = (torch.tensor([1, 2]), torch.tensor([1, 2, 3]))


def test_no_match_names_the_trap() -> None:
    camera = torch.zeros(3, dtype=torch.long)
    with pytest.raises(
        ValueError, match="none of the 2 queries .* under another camera"
    ):
        evaluate_distances(torch.rand(2, 3), *LABELS, camera[:2], camera)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            (torch.rand(2, 4), *LABELS),
            "gallery_identities must have one entry for each of the 4",
        ),
        (
            (torch.rand(5, 3), *LABELS),
            "query_identities must have one entry for each of the 5",
        ),
        (
            (torch.rand(3), *LABELS),
            r"distances must have shape \(queries, gallery\), got \(3,\)",
        ),
        ((torch.full((2, 3), float("nan")), *LABELS), "NaN, but row 0, column 0"),
        (
            (torch.rand(2, 3), torch.rand(2), LABELS[1]),
            "query_identities must be integers",
        ),
        ((torch.rand(2, 3), *LABELS, torch.zeros(2).long()), "must be given together"),
        (
            (torch.rand(2, 3), *LABELS, torch.zeros(2).long(), torch.zeros(4).long()),
            "gallery_cameras must have 3 entries, got 4",
        ),
    ],
)
def test_bad_matrices(arguments: Tuple[Tensor, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_distances(*arguments)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="max_rank must be at least 1, got 0"):
        evaluate_distances(torch.rand(2, 3), *LABELS, max_rank=0)
    with pytest.raises(ValueError, match=r"rates in 0..1, got 1.5"):
        evaluate_distances(torch.rand(2, 3), *LABELS, tpr_at_fpr=[1.5])


def test_labels_may_be_lists() -> None:
    distances = torch.tensor([[0.2, 0.1, 0.3], [0.1, 0.2, 0.3]])
    metrics = evaluate_distances(distances, [1, 2], [1, 2, 2], [0, 0], [1, 1, 0])
    # the first finds its match second; the second has one at rank 2, its own camera's is dropped
    assert metrics.mAP == 0.5 and metrics.cmc[:2].tolist() == [0.0, 1.0]
