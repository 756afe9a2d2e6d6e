# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Time and memory of the evaluation, beside a bare NumPy argsort of the same distances.

    python -m benchmarks.ranking                     # Market-1501's size
    python -m benchmarks.ranking --size msmt17
    python -m benchmarks.ranking --curve             # against the size of the gallery, 10 thousand to 1 million

Features are synthetic: a centre for each identity plus noise. The argsort is what every evaluation that sorts must do
at least, before it has computed anything; it is run on the same matrix, chunk by chunk, so that it fits into memory.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np
import torch
from benchmarks.measuring import (
    make_rows,
    MIB,
    reset_peak,
    resident,
    Size,
    SIZES,
    timed,
    write_results,
)
from tabulate import tabulate
from torch import Tensor
from torchmultimodal_reid.evaluation.distance import default_chunk_size, distance_chunks
from torchmultimodal_reid.evaluation.ranking import evaluate_ranking, RankingMetrics

CURVE = (10_000, 30_000, 100_000, 300_000, 1_000_000)


def run_product(query: Tensor, gallery: Tensor) -> None:
    """The bare matrix product, in the evaluation's chunks."""
    rows = default_chunk_size(len(gallery))
    buffer = torch.empty(rows, len(gallery))
    for start in range(0, len(query), rows):
        part = query[start : start + rows]
        torch.mm(part, gallery.T, out=buffer[: len(part)])


def time_argsort(query: Tensor, gallery: Tensor) -> float:
    """Seconds that NumPy needs to argsort the whole matrix; its making is not counted."""
    total = 0.0
    for chunk in distance_chunks(query, gallery):
        start = time.perf_counter()
        np.argsort(chunk.distances.numpy(), axis=1)
        total += time.perf_counter() - start
    return total


def measure(
    size: Size, noise: float, repeats: int, with_argsort: bool
) -> Dict[str, Any]:
    """Best seconds of some runs, the greatest memory above the features, and the metrics."""
    torch.manual_seed(0)
    centers = torch.randn(size.identities, size.dim)
    query = make_rows(size.queries, size, centers, noise)
    gallery = make_rows(size.gallery, size, centers, noise)

    def evaluate() -> RankingMetrics:
        return evaluate_ranking(
            query.features,
            gallery.features,
            query.identities,
            gallery.identities,
            query.cameras,
            gallery.cameras,
        )

    # the first call of each kind starts threads and pages in libraries
    run_product(query.features[:64], gallery.features[:64])
    before = resident("VmRSS")
    reset_peak()
    evaluate()
    memory = resident("VmHWM") - before

    seconds: Dict[str, List[float]] = {"product": [], "evaluation": [], "argsort": []}
    # in turns, so that what else the machine does meets all alike
    for _ in range(repeats):
        product, _ = timed(lambda: run_product(query.features, gallery.features))
        whole, metrics = timed(evaluate)
        seconds["product"].append(product)
        seconds["evaluation"].append(whole)
        if with_argsort:
            seconds["argsort"].append(time_argsort(query.features, gallery.features))
    best = {name: min(values) for name, values in seconds.items() if values}
    return {
        **size._asdict(),
        "threads": torch.get_num_threads(),
        "seconds": best,
        "on_top": best["evaluation"] - best["product"],
        "memory_mib": memory / MIB,
        "mAP": metrics.mAP,
        "rank_1": float(metrics.cmc[0]),
    }


def show(results: List[Dict[str, Any]]) -> str:
    lines = []
    for result in results:
        argsort: Optional[float] = result["seconds"].get("argsort")
        ratio = result["on_top"] / argsort if argsort else None
        lines.append(
            [
                f"{result['queries']:,} x {result['gallery']:,}, {result['dim']}-d",
                f"{result['seconds']['product']:.2f}",
                f"{result['seconds']['evaluation']:.2f}",
                f"{result['on_top']:.2f}",
                "-" if argsort is None else f"{argsort:.2f}",
                "-" if ratio is None else f"{ratio:.2f}x",
                f"{result['memory_mib']:.0f}",
                f"{100 * result['mAP']:.1f}",
            ]
        )
    header = [
        "size",
        "product s",
        "whole s",
        "on top s",
        "argsort s",
        "on top / argsort",
        "MiB above features",
        "mAP",
    ]
    right = ["right"] * (len(header) - 1)
    return tabulate(lines, header, disable_numparse=True, colalign=("left", *right))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="market")
    parser.add_argument("--curve", action="store_true", help="grow the gallery instead")
    parser.add_argument("--queries", type=int, default=200, help="of the curve")
    parser.add_argument("--dim", type=int, default=256, help="of the curve")
    parser.add_argument("--noise", type=float, default=4.0, help="of the features")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-argsort", action="store_true")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None, help="file to write")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    sizes = [SIZES[arguments.size]]
    if arguments.curve:
        # 20 images an identity, as many cameras as Market-1501 has
        sizes = [
            Size(arguments.queries, gallery, arguments.dim, gallery // 20, 6)
            for gallery in CURVE
        ]
    results = []
    for size in sizes:
        print(f"measuring {size}", file=sys.stderr)
        results.append(
            measure(size, arguments.noise, arguments.repeats, not arguments.no_argsort)
        )
    print(show(results))
    write_results(arguments.json, results)


if __name__ == "__main__":
    main()
