# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Whose queries were found: by pair of cameras, by attribute, and how far other queries might shift the result."""

from typing import Any, Dict, List, Mapping, Sequence

from examples.common.ranking import RankedRow
from examples.common.retrieval_features import RetrievalFeatures
from tabulate import tabulate
from torchmultimodal_reid.evaluation.breakdown import (
    attribute_groups,
    by_camera_pair,
    by_group,
    confidence_intervals,
)
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics


def break_down(
    features: RetrievalFeatures, ranked: Sequence[RankedRow]
) -> Dict[str, Any]:
    """The breakdown of each line of the table, ready for JSON; shares in 0..1.

    Intervals are of every line. Pairs of cameras and attributes are of the plain lines; there are no pairs where a
    protocol knows no cameras, and no attributes where the data set tells none.
    """
    # numbers of images stand in the place of cameras
    numbered = any(rules.own_image_filter for rules in features.protocols.values())
    found: Dict[str, Any] = {}
    for row, kind, ranks in ranked:
        query = features.query[kind]
        intervals = confidence_intervals(ranks, query.identity)
        part: Dict[str, Any] = {
            "interval_95": {
                name: interval._asdict()
                for name, interval in intervals._asdict().items()
            }
        }
        if row.ranking is None:
            if not numbered:
                pairs = by_camera_pair(row.protocol, query, features.gallery)
                part["camera_pairs"] = [
                    {"query": asked, "gallery": seen, **_numbers(metrics)}
                    for (asked, seen), metrics in pairs.items()
                ]
            # what a text query tells is what it can be found by
            images = features.query_images[kind]
            groups = attribute_groups(images, told=kind != "image")
            part["attributes"] = [
                {"attribute": name, "value": value, **_numbers(metrics)}
                for (name, value), metrics in by_group(ranks, groups).items()
            ]
        found[row.name] = part
    return found


def _numbers(metrics: RankingMetrics) -> Dict[str, Any]:
    return {
        "mAP": metrics.mAP,
        "rank1": float(metrics.cmc[0]),
        "queries": metrics.num_valid_queries,
    }


def format_breakdown(found: Mapping[str, Any]) -> str:
    """The tables of a breakdown, in percent."""
    rows = [
        [name, *map(_interval, part["interval_95"].values())]
        for name, part in found.items()
    ]
    tables = [_table(["95 % intervals", "mAP", "mINP", "rank-1"], rows)]
    for name, part in found.items():
        if part.get("camera_pairs"):
            tables.append(_camera_table(name, part["camera_pairs"]))
        if part.get("attributes"):
            lines = [
                [
                    f"{one['attribute']}: {one['value']}",
                    _percent(one["mAP"]),
                    _percent(one["rank1"]),
                    one["queries"],
                ]
                for one in part["attributes"]
            ]
            tables.append(_table([name, "mAP", "rank-1", "queries"], lines))
    return "\n\n".join(tables)


def _camera_table(name: str, pairs: Sequence[Mapping[str, Any]]) -> str:
    """mAP by camera of the query (down) and of the gallery (across), counted from 1."""
    mean = {(one["query"], one["gallery"]): _percent(one["mAP"]) for one in pairs}
    asked, seen = (sorted({pair[side] for pair in mean}) for side in (0, 1))
    rows = [[f"camera {a + 1}", *(mean.get((a, s), "-") for s in seen)] for a in asked]
    return _table([f"{name}, mAP", *(f"in {s + 1}" for s in seen)], rows)


def _table(header: List[str], rows: Sequence[Sequence[Any]]) -> str:
    align = ("left", *["right"] * (len(header) - 1))
    return tabulate(rows, headers=header, disable_numparse=True, colalign=align)


def _interval(interval: Mapping[str, float]) -> str:
    value, low, high = (_percent(interval[key]) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
