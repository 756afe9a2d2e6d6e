# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import List

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torchmultimodal_reid.evaluation import hit_ranks
from torchmultimodal_reid.evaluation.hit_ranks import (
    _count_by_sorting,
    count_nearer,
    count_nearer_cpu,
)

ROWS = st.integers(1, 60).flatmap(
    lambda n: st.lists(
        st.lists(st.integers(-3, 3), min_size=n, max_size=n), min_size=1, max_size=4
    )
)


def places(values: np.ndarray) -> np.ndarray:
    """Place of each value in a stable argsort of its row, from 0."""
    order = np.argsort(values, axis=1, kind="stable")
    return np.argsort(order, axis=1)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(rows=ROWS, shrink_from=st.sampled_from([1, 4]))
def test_every_place_as_in_a_stable_argsort(
    rows: List[List[int]], shrink_from: int
) -> None:
    values = np.array(rows, dtype=np.float32)
    expected = places(values)
    # every item is a hit; within a row ordered by rank, as the counts expect
    row = np.repeat(np.arange(len(values)), values.shape[1])
    column = np.argsort(values, axis=1, kind="stable").reshape(-1)
    distances = torch.from_numpy(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hit_ranks, "SHRINK_FROM", shrink_from)
        # from few hits on, so that the sorting path has its share
        patch.setattr(hit_ranks, "SORT_FROM_HITS", 30)
        counts = count_nearer_cpu(distances, row, column)
        np.testing.assert_array_equal(counts, expected[row, column])
        patch.setattr(hit_ranks, "BLOCK_ELEMENTS", 100)
        counts = count_nearer(distances, row, column)
        np.testing.assert_array_equal(counts, expected[row, column])
    for number, line in enumerate(values):
        all_columns = np.arange(len(line))
        np.testing.assert_array_equal(
            _count_by_sorting(line, all_columns), expected[number]
        )


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(hit_ranks, "PARALLEL_FROM", 0)
    values = (np.arange(700).reshape(7, 100) * 37 % 11).astype(np.float32)
    # rows with no hit, one hit and many
    row = np.array([0, 2, 2, 2, 2, 6, 6])
    order = np.argsort(values, axis=1, kind="stable")
    column = np.array([order[0, 50], *order[2, [0, 3, 9, 99]], *order[6, [4, 5]]])
    counts = count_nearer_cpu(torch.from_numpy(values), row, column)
    assert counts.tolist() == [50, 0, 3, 9, 99, 4, 5]


def test_no_hits() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert len(count_nearer(torch.rand(2, 3), none, none)) == 0
    assert len(count_nearer_cpu(torch.rand(2, 3), none, none)) == 0
