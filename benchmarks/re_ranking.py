# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Time and memory of re-ranking, beside the dense algorithm in NumPy, by turns in one run.

    python -m benchmarks.re_ranking                      # Market-1501's size
    python -m benchmarks.re_ranking --size msmt17        # whose square matrices fit into no machine: ours alone
    python -m benchmarks.re_ranking --exact              # the dense algorithm in float64, to compare results with

Both go from features to all distances between queries and gallery: the dense algorithm makes their matrix, ours makes
them some queries at a time, as the metrics take them. The dense algorithm needs 8 GB at Market-1501's size and 16 GB
with --exact.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import torch
from benchmarks.dense_re_ranking import dense_re_ranking
from benchmarks.measuring import (
    make_rows,
    MIB,
    reset_peak,
    resident,
    Rows,
    Size,
    SIZES,
    timed,
    write_results,
)
from tabulate import tabulate
from torchmultimodal_reid.evaluation.ranking import evaluate_distances, RankingMetrics
from torchmultimodal_reid.evaluation.re_ranking import re_rank

# Above so many images the dense algorithm is left out
DENSE_LIMIT = 40_000


def with_peak(work: Callable[[], Any]) -> Tuple[float, float, Any]:
    """Seconds, MiB above what was held before, and the result."""
    before = resident("VmRSS")
    reset_peak()
    seconds, result = timed(work)
    return seconds, (resident("VmHWM") - before) / MIB, result


def describe(metrics: RankingMetrics) -> Dict[str, float]:
    return {"mAP": metrics.mAP, "mINP": metrics.mINP, "rank_1": float(metrics.cmc[0])}


def measure(
    size: Size, noise: float, repeats: int, layouts: List[str], exact: bool
) -> Dict[str, Any]:
    torch.manual_seed(0)
    centers = torch.randn(size.identities, size.dim)
    query = make_rows(size.queries, size, centers, noise)
    gallery = make_rows(size.gallery, size, centers, noise)
    # starts threads and pages in libraries
    for _ in re_rank(query.features[:50], gallery.features[:50]).chunks():
        pass

    def ours() -> None:
        for _ in re_rank(query.features, gallery.features).chunks():
            pass

    def dense(by_rows: bool) -> np.ndarray:
        dtype = np.float64 if exact else np.float32
        points = (query.features.numpy(), gallery.features.numpy())
        return dense_re_ranking(*points, by_rows=by_rows, dtype=dtype)

    runs: Dict[str, List[Tuple[float, float]]] = {}
    differences: Dict[str, Any] = {}
    for _ in range(repeats):
        seconds, memory, _ = with_peak(ours)
        runs.setdefault("ours", []).append((seconds, memory))
        for layout in layouts:
            seconds, memory, matrix = with_peak(partial(dense, layout == "rows"))
            runs.setdefault(f"dense, {layout}", []).append((seconds, memory))
            if not differences:
                differences = compare(query, gallery, matrix)
            del matrix
    metrics = evaluate_distances(
        re_rank(query.features, gallery.features), *labels(query, gallery)
    )
    return {
        **size._asdict(),
        "threads": torch.get_num_threads(),
        "seconds": {name: min(s for s, _ in runs[name]) for name in runs},
        "memory_mib": {name: max(m for _, m in runs[name]) for name in runs},
        "metrics": describe(metrics),
        "against_dense": differences,
    }


def labels(query: Rows, gallery: Rows) -> Tuple[torch.Tensor, ...]:
    return query.identities, gallery.identities, query.cameras, gallery.cameras


def compare(query: Rows, gallery: Rows, matrix: np.ndarray) -> Dict[str, Any]:
    """How far the distances and the metrics of the dense algorithm are from ours."""
    largest, off = 0.0, 0
    re_ranked = re_rank(query.features, gallery.features)
    for start, distances in re_ranked.chunks():
        expected = torch.from_numpy(matrix[start : start + len(distances)])
        difference = (distances - expected).abs_()
        largest = max(largest, float(difference.max()))
        off += int((difference > 1e-5).sum())
    metrics = evaluate_distances(torch.from_numpy(matrix), *labels(query, gallery))
    return {
        "largest_difference": largest,
        "share_above_1e-5": off / matrix.size,
        "metrics": describe(metrics),
    }


def show(result: Dict[str, Any]) -> str:
    ours = result["seconds"]["ours"]
    lines = [
        [name, f"{seconds:.1f}", f"{seconds / ours:.1f}x"]
        + [f"{result['memory_mib'][name]:,.0f}"]
        for name, seconds in result["seconds"].items()
    ]
    table = tabulate(
        lines,
        ["algorithm", "seconds", "time / ours", "MiB above features"],
        disable_numparse=True,
        colalign=("left", "right", "right", "right"),
    )
    title = "{queries:,} x {gallery:,}, {dim}-d, {threads} threads".format(**result)
    text = f"{title}\n{table}\nmAP {result['metrics']['mAP']:.7f}"
    against = result["against_dense"]
    if against:
        text += (
            f"; dense {against['metrics']['mAP']:.7f}, largest difference of a distance "
            f"{against['largest_difference']:.1e}, share above 1e-5 {against['share_above_1e-5']:.1e}"
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="market")
    parser.add_argument(
        "--divide", type=int, default=1, help="of queries, gallery and identities"
    )
    parser.add_argument("--noise", type=float, default=4.0, help="of the features")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--layouts",
        nargs="*",
        choices=("published", "rows"),
        default=["published", "rows"],
        help="of the dense algorithm's matrices: as toolkits have them, or row by row; none leaves it out",
    )
    parser.add_argument("--exact", action="store_true", help="dense in float64")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None, help="file to write")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    size = SIZES[arguments.size]
    size = size._replace(
        queries=size.queries // arguments.divide,
        gallery=size.gallery // arguments.divide,
        identities=size.identities // arguments.divide,
    )
    layouts = arguments.layouts
    if size.queries + size.gallery > DENSE_LIMIT:
        layouts = []
    print(f"measuring {size}", file=sys.stderr)
    result = measure(size, arguments.noise, arguments.repeats, layouts, arguments.exact)
    print(show(result))
    write_results(arguments.json, result)


if __name__ == "__main__":
    main()
