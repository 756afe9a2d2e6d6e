# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmultimodal_reid.evaluation.matches import Pairs

# From this many hits a query on, sorting its distances once is cheaper than one pass over them for each hit
SORT_FROM_HITS = 96
# Where the hardest hit has less than 1 / this of the gallery before it, the rest of the gallery is put aside
SHRINK_FROM = 4
# Comparisons that are worth a second thread
PARALLEL_FROM = 2**22
# Comparisons held at a time by the PyTorch path
BLOCK_ELEMENTS = 2**26


class HitRanks(NamedTuple):
    """Hits ordered by query, then by rank."""

    row: np.ndarray  # query
    ordinal: np.ndarray  # 1 for the query's nearest hit, 2 for the next ...
    rank: np.ndarray  # place in the list of kept gallery items, from 1
    distance: np.ndarray


def rank_hits(distances: Tensor, pairs: Pairs) -> HitRanks:
    """Ranks of the hits in the list that a stable argsort of the distances would give, without sorting it.

    A hit's rank is one more than the number of kept items nearer than it: items of less distance, and items of the
    same distance that stand before it in the gallery.

    Args:
        distances (Tensor): Shape ``(c, n)``, on any device.
        pairs (Pairs): Hits and dropped items of these ``c`` queries.

    Returns:
        HitRanks: The hits.
    """
    row, column = torch.from_numpy(pairs.row), torch.from_numpy(pairs.column)
    values = distances[row.to(distances.device), column.to(distances.device)]
    distance = values.cpu().numpy()
    order = np.lexsort((pairs.column, distance, pairs.row))
    is_hit = pairs.is_hit[order]
    hits = order[is_hit]
    hit_row = pairs.row[hits]

    # counts within a row: the running total less the total at the row's first pair
    first_pair = np.searchsorted(pairs.row, hit_row)
    hits_before = np.concatenate(([0], np.cumsum(is_hit)))
    dropped_before = np.concatenate(([0], np.cumsum(~is_hit)))
    place = np.flatnonzero(is_hit)
    ordinal = hits_before[place] - hits_before[first_pair] + 1
    dropped_nearer = dropped_before[place] - dropped_before[first_pair]

    count = count_nearer_cpu if distances.device.type == "cpu" else count_nearer
    nearer = count(distances, hit_row, pairs.column[hits])
    return HitRanks(hit_row, ordinal, nearer - dropped_nearer + 1, distance[hits])


def count_nearer(distances: Tensor, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """How many entries of its row come before each ``(row, column)`` in a stable argsort; on any device."""
    device, num_columns = distances.device, distances.shape[1]
    position = torch.arange(num_columns, device=device)
    rows = torch.from_numpy(row).to(device)
    columns = torch.from_numpy(column).to(device)
    counts = torch.empty(len(row), dtype=torch.long, device=device)
    step = max(1, BLOCK_ELEMENTS // max(num_columns, 1))
    for start in range(0, len(row), step):
        part = slice(start, start + step)
        others = distances[rows[part]]
        value = others.gather(1, columns[part, None])
        before = position < columns[part, None]
        nearer = torch.where(before, others <= value, others < value)
        counts[part] = nearer.sum(1)
    return counts.cpu().numpy()


def count_nearer_cpu(
    distances: Tensor, row: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """:func:`count_nearer` for the CPU, where NumPy's comparisons and counts run at the speed of the cache."""
    matrix = distances.numpy()
    counts = np.empty(len(row), dtype=np.int64)
    if not len(row):
        return counts
    is_small = len(row) * matrix.shape[1] < PARALLEL_FROM
    workers = 1 if is_small else min(torch.get_num_threads(), len(row))
    # a row's hits stay with one thread, next to each other, while the row is in its cache
    equal_shares = row[np.arange(workers) * len(row) // workers]
    bounds = [*np.searchsorted(row, equal_shares).tolist(), len(row)]

    def work(start: int, stop: int) -> None:
        _count_rows(matrix, row[start:stop], column[start:stop], counts[start:stop])

    if workers == 1:
        work(0, len(row))
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, bounds[:-1], bounds[1:]))
    return counts


def _count_rows(
    matrix: np.ndarray, row: np.ndarray, column: np.ndarray, counts: np.ndarray
) -> None:
    """Fills in the counts of hits that are ordered by row, then by rank."""
    buffer = np.empty(matrix.shape[1], dtype=bool)
    starts = np.flatnonzero(np.diff(row, prepend=-1)).tolist()
    for start, stop in zip(starts, [*starts[1:], len(row)]):
        values, hits = matrix[row[start]], column[start:stop]
        if stop - start >= SORT_FROM_HITS:
            counts[start:stop] = _count_by_sorting(values, hits)
            continue
        # the hardest hit comes first: only what is nearer than it can be nearer than another
        counts[stop - 1] = _count_one(values, hits[-1], buffer)
        if counts[stop - 1] * SHRINK_FROM < len(values):
            nearer = np.flatnonzero(buffer)
            values, hits = values[nearer], np.searchsorted(nearer, hits)
        for number in range(stop - start - 1):
            counts[start + number] = _count_one(values, hits[number], buffer)


def _count_one(values: np.ndarray, position: int, buffer: np.ndarray) -> int:
    """How many values come before the one at ``position``; ``buffer`` then tells which."""
    value = values[position]
    nearer = buffer[: len(values)]
    np.less_equal(values[:position], value, out=nearer[:position])
    np.less(values[position:], value, out=nearer[position:])
    return int(np.count_nonzero(nearer))


def _count_by_sorting(values: np.ndarray, column: np.ndarray) -> np.ndarray:
    ordered = np.sort(values)
    hits = values[column]
    counts = np.searchsorted(ordered, hits, side="left")
    last = np.searchsorted(ordered, hits, side="right")
    for tied in np.flatnonzero(last - counts > 1):
        counts[tied] += np.count_nonzero(values[: column[tied]] == hits[tied])
    return counts
