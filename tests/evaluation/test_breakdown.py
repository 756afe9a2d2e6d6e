# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import Tensor
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.evaluation.breakdown import (
    attribute_groups,
    by_camera_pair,
    by_group,
    confidence_intervals,
)
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.protocols import get_protocol
from torchmultimodal_reid.evaluation.query_ranks import QueryRanks

NAN = float("nan")


def ranks_of(precision: Tensor, first: Tensor) -> QueryRanks:
    hits = (~precision.isnan()).long()
    return QueryRanks(precision, precision, precision / 2, first, first, hits)


RANKS = ranks_of(
    torch.tensor([1.0, 0.5, NAN, 0.25]).double(), torch.tensor([1, 2, 0, 4])
)


def test_groups() -> None:
    found = by_group(RANKS, {"a": [0, 1], "b": [1, 2, 3], "none": [2], "empty": []})
    assert list(found) == ["a", "b"]
    assert found["a"].mAP == 0.75
    assert found["a"].cmc[:2].tolist() == [0.5, 1.0]
    assert found["b"].mAP == 0.375
    assert (found["b"].num_queries, found["b"].num_valid_queries) == (3, 2)


def features(angles: Tensor, identity: Tensor, camera: Tensor) -> Features:
    angles = angles.deg2rad()
    embedding = torch.stack([angles.cos(), angles.sin()], 1)
    return Features(embedding, identity, camera, torch.arange(len(angles)))


def test_camera_pairs() -> None:
    query = features(
        torch.tensor([0.0, 90.0]), torch.tensor([1, 2]), torch.tensor([0, 1])
    )
    # camera 1 finds the first person at once; camera 2 shows another first
    gallery = features(
        torch.tensor([5.0, 70.0, 10.0, 20.0, 85.0]),
        torch.tensor([1, 2, 3, 1, 2]),
        torch.tensor([1, 1, 2, 2, 2]),
    )
    protocol = get_protocol("image-to-image")
    pairs = by_camera_pair(protocol, query, gallery)
    # of the second query the match under its own camera is dropped: (1, 1) has none
    assert list(pairs) == [(0, 1), (0, 2), (1, 2)]
    assert pairs[0, 1].mAP == 1.0
    assert pairs[0, 2].mAP == 0.5
    assert pairs[1, 2].mAP == 1.0
    assert all(metrics.num_queries == 1 for metrics in pairs.values())


def test_attributes() -> None:
    images = [
        PersonImage(
            "a.jpg",
            1,
            0,
            ("x", "y"),
            {
                "attributes": {"coat": "red", "bag": True},
                "told": [{"coat": "red"}, {"coat": "red", "view": "left"}],
            },
        ),
        PersonImage("b.jpg", 2, 0),
        PersonImage("c.jpg", 3, 0, ("z",), {"attributes": {"coat": "red"}}),
    ]
    assert attribute_groups(images) == {("bag", "True"): [0], ("coat", "red"): [0, 2]}
    assert attribute_groups(images, told=True) == {
        ("coat", "red"): [0],
        ("view", "left"): [0],
    }


def test_intervals_of_a_known_distribution() -> None:
    # 400 queries, half of them found at once, half not at all: the standard error of the mean is 0.025
    is_found = torch.arange(400) % 2 == 0
    precision = torch.where(is_found, 1.0, 0.0).double()
    intervals = confidence_intervals(ranks_of(precision, 2 - is_found.long()))
    for interval in (intervals.mAP, intervals.rank_1):
        assert interval.value == 0.5
        assert interval.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.008)
        assert interval.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.008)
    assert intervals.mINP.value == 0.25
    narrow = confidence_intervals(ranks_of(precision, 2 - is_found.long()), level=0.5)
    assert intervals.mAP.low < narrow.mAP.low < narrow.mAP.high < intervals.mAP.high


def test_whole_identities_are_drawn() -> None:
    # 16 queries of each person are found together, so there are 25 draws, not 400: an error 4 times as large
    identity = torch.arange(400) // 16
    precision = (identity % 2).double()
    ranks = ranks_of(precision, torch.ones(400, dtype=torch.long))
    single = confidence_intervals(ranks).mAP
    whole = confidence_intervals(ranks, identity).mAP
    assert whole.value == single.value == 0.48
    assert 3 < (whole.high - whole.low) / (single.high - single.low) < 5


def test_equal_queries_leave_no_doubt_and_invalid_ones_no_trace() -> None:
    precision = torch.tensor([0.5, NAN, 0.5, 0.5]).double()
    ranks = ranks_of(precision, torch.tensor([1, 0, 1, 1]))
    assert confidence_intervals(ranks).mAP == (0.5, 0.5, 0.5)
    assert confidence_intervals(ranks, torch.tensor([1, 2, 3, 3])).mAP.high == 0.5


def test_the_seed_says_it_all() -> None:
    first = confidence_intervals(RANKS, draws=50, seed=3)
    torch.manual_seed(9)
    assert confidence_intervals(RANKS, draws=50, seed=3) == first
    assert confidence_intervals(RANKS, draws=50, seed=4) != first


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="level must be between 0 and 1, got 95"):
        confidence_intervals(RANKS, level=95)
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        confidence_intervals(RANKS, draws=0)
    none = ranks_of(torch.tensor([NAN]).double(), torch.tensor([0]))
    with pytest.raises(ValueError, match="none of the 1 queries has a match"):
        confidence_intervals(none)
