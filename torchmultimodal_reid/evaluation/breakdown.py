# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import (
    Any,
    Dict,
    Hashable,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

import torch
from torch import Tensor
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.matches import as_labels, Labels
from torchmultimodal_reid.evaluation.protocols import EvaluationProtocol, rank_protocol
from torchmultimodal_reid.evaluation.query_ranks import (
    average_ranks,
    QueryRanks,
    RankingMetrics,
)
from torchmultimodal_reid.utils.seeding import generator_for

Group = TypeVar("Group", bound=Hashable)

# Draws of queries that are held at a time
DRAWN_ELEMENTS = 2**22


def select_queries(ranks: QueryRanks, queries: Tensor) -> QueryRanks:
    """What some of the queries found; ``queries`` are row numbers or a bool mask."""
    return QueryRanks(*(column[queries] for column in ranks))


def by_group(
    ranks: QueryRanks, groups: Mapping[Group, Sequence[int]], *, max_rank: int = 50
) -> Dict[Group, RankingMetrics]:
    """Metrics of each group of queries, without the groups none of whose queries has a match.

    Args:
        ranks (QueryRanks): What each query found.
        groups (Mapping[Group, Sequence[int]]): Row numbers of the queries of each group; a query may be in several.
        max_rank (int): Length of the CMC curves. Default: 50

    Returns:
        Dict[Group, RankingMetrics]: In the order of ``groups``.
    """
    result = {}
    for group, rows in groups.items():
        part = select_queries(ranks, torch.tensor(list(rows), dtype=torch.long))
        if bool(part.is_valid.any()):
            result[group] = average_ranks(part, max_rank)
    return result


def by_camera_pair(
    protocol: EvaluationProtocol,
    query: Features,
    gallery: Features,
    *,
    max_rank: int = 50,
) -> Dict[Tuple[int, int], RankingMetrics]:
    """Metrics of the queries of one camera in the gallery of one camera, for each two cameras with a match.

    Each gallery is smaller than the whole, so its numbers are higher. All pairs together cost as much as one
    evaluation.

    Args:
        protocol (EvaluationProtocol): The rules.
        query (Features): One row a query.
        gallery (Features): One row a gallery image.
        max_rank (int): Length of the CMC curves. Default: 50

    Returns:
        Dict[Tuple[int, int], RankingMetrics]: By (camera of the queries, camera of the gallery), in their order.
    """
    result = {}
    for camera in gallery.camera.unique().tolist():
        is_seen = gallery.camera == camera
        part = Features(*(column[is_seen] for column in gallery))
        ranks = rank_protocol(protocol, query, part)
        groups = {
            (asked, camera): (query.camera == asked).nonzero()[:, 0].tolist()
            for asked in query.camera.unique().tolist()
        }
        result.update(by_group(ranks, groups, max_rank=max_rank))
    return dict(sorted(result.items()))


def attribute_groups(
    images: Sequence[PersonImage], *, told: bool = False
) -> Dict[Tuple[str, str], List[int]]:
    """Rows of the images by attribute and value, for :func:`by_group`.

    Args:
        images (Sequence[PersonImage]): One for each query, in order.
        told (bool): Whether only what the captions tell counts, rather than all that is known of the person. One
            caption is enough; :func:`~torchmultimodal_reid.data.sample.expand_captions` leaves each query its own.
            Default: False

    Returns:
        Dict[Tuple[str, str], List[int]]: By (attribute, value), in alphabetical order. Images without attributes are
            in no group.
    """
    groups: Dict[Tuple[str, str], List[int]] = {}
    for row, image in enumerate(images):
        for pair in sorted(set(_pairs(image.attributes or {}, told))):
            groups.setdefault(pair, []).append(row)
    return dict(sorted(groups.items()))


def _pairs(attributes: Mapping[str, Any], told: bool) -> Iterable[Tuple[str, str]]:
    key = "told" if told else "attributes"
    entries = attributes.get(key) or ()
    for entry in entries if told else (entries or {},):
        for name, value in (entry or {}).items():
            yield str(name), str(value)


class Interval(NamedTuple):
    """A share in 0..1 and between which bounds it may be expected with other queries of the kind."""

    value: float
    low: float
    high: float


class ConfidenceIntervals(NamedTuple):
    mAP: Interval  # noqa: N815
    mINP: Interval  # noqa: N815
    rank_1: Interval


def confidence_intervals(
    ranks: QueryRanks,
    identities: Optional[Labels] = None,
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> ConfidenceIntervals:
    """Bootstrap percentile intervals over the queries that have a match.

    It tells how much of a number is due to which queries there are; not what another training seed would change.

    Args:
        ranks (QueryRanks): What each query found.
        identities (Optional[Labels]): Of the queries, shape ``(q,)``: whole identities are drawn, because queries of
            one person are found or lost together, and the interval is wider for it. Default: ``None``, single queries
        level (float): Share of the draws between the bounds, in 0..1. Default: 0.95
        draws (int): How often queries are drawn with replacement. Default: 1000
        seed (int): Seed of the draws. Default: 0

    Returns:
        ConfidenceIntervals: The intervals.

    Raises:
        ValueError: If no query has a match or an option is out of its range.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    metrics = average_ranks(ranks, 1)
    valid = ranks.is_valid
    columns = (
        ranks.average_precision[valid],
        ranks.inverse_negative_penalty[valid],
        (ranks.first_rank[valid] == 1).double(),
    )
    values = torch.stack([torch.ones_like(columns[0]), *columns], 1)
    if identities is not None:
        numbers = torch.from_numpy(as_labels(identities, "identities", len(valid)))
        person = numbers[valid].unique(return_inverse=True)[1]
        sums = torch.zeros(int(person.max()) + 1, values.shape[1], dtype=values.dtype)
        values = sums.index_add_(0, person, values)

    generator = generator_for(seed, "bootstrap over queries")
    step = max(1, DRAWN_ELEMENTS // len(values))
    means = []
    for start in range(0, draws, step):
        shape = (min(step, draws - start), len(values))
        drawn = torch.randint(len(values), shape, generator=generator)
        # how often each was drawn, rather than a copy of each
        times = torch.zeros(shape, dtype=values.dtype)
        times.scatter_add_(1, drawn, torch.ones_like(times))
        totals = times @ values
        means.append(totals[:, 1:] / totals[:, :1])
    tail = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=values.dtype)
    low, high = torch.cat(means).quantile(tail, dim=0).tolist()
    found = (metrics.mAP, metrics.mINP, float(metrics.cmc[0]))
    return ConfidenceIntervals(*map(Interval, found, low, high))
