# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from itertools import permutations
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
import pytest
import torch
from torchmultimodal_reid.evaluation.ranking import evaluate_distances
from torchmultimodal_reid.evaluation.references import attribute_oracle, chance

QUERY_IDENTITIES = torch.tensor([1, 2, 2, 9])
QUERY_CAMERAS = torch.tensor([0, 0, 1, 0])
GALLERY_IDENTITIES = torch.tensor([1, 1, 2, 2, 0, -1])
GALLERY_CAMERAS = torch.tensor([0, 1, 1, 2, 0, 0])
LABELS = (QUERY_IDENTITIES, GALLERY_IDENTITIES, QUERY_CAMERAS, GALLERY_CAMERAS)


@pytest.mark.parametrize("has_cameras", [True, False])
def test_chance_is_the_mean_over_all_orders(has_cameras: bool) -> None:
    labels = LABELS if has_cameras else LABELS[:2]
    # junk comes nearest of all, which must not matter: the orders of the other five
    results = []
    for order in permutations(range(1, 6)):
        distances = torch.tensor([(*order, 0)] * 4, dtype=torch.float32)
        results.append(evaluate_distances(distances, *labels, max_rank=8))
    actual = chance(*labels, max_rank=8)
    assert actual.mAP == pytest.approx(np.mean([r.mAP for r in results]))
    assert actual.mAP_trapezoid == pytest.approx(
        np.mean([r.mAP_trapezoid for r in results])
    )
    assert actual.mINP == pytest.approx(np.mean([r.mINP for r in results]))
    cmc = torch.stack([r.cmc for r in results]).mean(0)
    torch.testing.assert_close(actual.cmc, cmc)
    assert actual.num_queries == 4 and actual.num_valid_queries == 3


def test_chance_on_a_gallery_of_one() -> None:
    metrics = chance(torch.tensor([1]), torch.tensor([1]), max_rank=3)
    assert (metrics.mAP, metrics.mAP_trapezoid, metrics.mINP) == (1.0, 1.0, 1.0)
    assert metrics.cmc.tolist() == [1.0, 1.0, 1.0]


def test_chance_without_a_match() -> None:
    with pytest.raises(ValueError, match="none of the 1 queries has a match"):
        chance(torch.tensor([1]), torch.tensor([2]))


GALLERY: Sequence[Mapping[str, Any]] = [
    {"top": "red", "hat": True},
    {"top": "red", "hat": False},
    {"top": "blue", "hat": True},
    {"top": "blue"},
]
IDENTITIES = torch.tensor([1, 2, 3, 4])


def oracle_map(told: List[Dict[str, Any]], draws: int = 1) -> float:
    return attribute_oracle(
        told, GALLERY, torch.arange(1, len(told) + 1), IDENTITIES, draws=draws
    ).mAP


def test_oracle_ranks_by_what_differs() -> None:
    told = [{"top": "red", "hat": True}, {"hat": False, "top": "red"}]
    assert oracle_map(told) == 1.0
    # the person told of is the only one with one difference, two others have none and two differences: rank 2
    metrics = attribute_oracle(
        [{"top": "red", "hat": True, "bag": True}],
        [{"top": "red", "hat": True, "bag": True}, {"top": "red"}, {"top": "blue"}],
        torch.tensor([5]),
        torch.tensor([1, 5, 6]),
    )
    assert metrics.mAP == 0.5


def test_an_attribute_that_is_not_known_differs() -> None:
    # told of a hat: the fourth person, of whom no hat is known, comes last with the second
    metrics = attribute_oracle(
        [{"hat": True}], GALLERY, torch.tensor([4]), IDENTITIES, draws=400
    )
    assert metrics.cmc[1] == 0.0
    assert metrics.cmc[3] == 1.0
    assert float(metrics.cmc[2]) == pytest.approx(0.5, abs=0.1)


def test_oracle_shares_ties_out_at_random() -> None:
    # two people fit "red", either comes first in half of the draws
    metrics = attribute_oracle(
        [{"top": "red"}], GALLERY, torch.tensor([2]), IDENTITIES, draws=400
    )
    assert metrics.mAP == pytest.approx(0.75, abs=0.05)
    assert metrics.cmc[1] == 1.0


def test_oracle_that_is_told_nothing_is_chance() -> None:
    told: List[Dict[str, Any]] = [{}] * 4
    metrics = attribute_oracle(told, [{}] * 6, *LABELS, draws=600)
    expected = chance(*LABELS)
    assert metrics.mAP == pytest.approx(expected.mAP, abs=0.03)
    assert metrics.num_valid_queries == expected.num_valid_queries


def test_oracle_is_a_function_of_its_seed() -> None:
    told: List[Dict[str, Any]] = [{"top": "red"}, {"top": "red"}]
    assert oracle_map(told, 3) == oracle_map(told, 3)


def test_oracle_names_a_wrong_length() -> None:
    with pytest.raises(ValueError, match="^told must have one entry .* 4 rows, got 1"):
        attribute_oracle([{}], [{}] * 6, *LABELS)
    with pytest.raises(ValueError, match="gallery_attributes .* 6 rows, got 2"):
        attribute_oracle([{}] * 4, [{}] * 2, *LABELS)
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        attribute_oracle([{}] * 4, [{}] * 6, *LABELS, draws=0)
