# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Images and captions a second that the models embed, and captions that VTBR writes.

    python -m benchmarks.embedding                                # eager, compiled, exported, on the CPU
    python -m benchmarks.embedding --models demo base --ways eager compiled
    python -m benchmarks.embedding --device cuda --batch 256

Weights are random, pixels and words too: uint8 images go in, normalised inside, and embeddings come out; decoding and
tokenising are benchmarks.loading's. Eager is what ReIDPipeline runs, compiled is torch.compile, exported is the ONNX
graph of ``python -m torchmultimodal_reid.export`` under onnxruntime on CPUs. The ways of a model take turns in one
process, so that what else the machine does meets all alike, and have to give the same embeddings. All compute in
float32.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, List

import torch
from benchmarks.embedding_contenders import check_same, Job, MODELS, WAYS, ways_of
from benchmarks.measuring import wait_for, write_results
from tabulate import tabulate
from torch import Tensor


def measure(
    job: Job,
    ways: Dict[str, Callable[..., Tensor]],
    batch: int,
    turns: int,
    device: torch.device,
) -> List[Dict[str, Any]]:
    """Rows a second of each way, medians over the turns, and the speed by that of the first way."""
    inputs = [part.to(device) for part in job.make_inputs(batch)]
    # the first call compiles, allocates and starts threads
    check_same({way: run(*inputs).cpu() for way, run in ways.items()})
    seconds: Dict[str, List[float]] = {way: [] for way in ways}
    for _ in range(turns):
        for way, run in ways.items():
            wait_for(device)
            start = time.perf_counter()
            run(*inputs)
            wait_for(device)
            seconds[way].append(time.perf_counter() - start)
    first = next(iter(seconds.values()))
    return [
        {
            "model": job.model,
            "rows": job.rows,
            "way": way,
            "batch": batch,
            "per_second": batch / statistics.median(own),
            "speed": statistics.median(a / b for a, b in zip(first, own)),
            "seconds": own,
        }
        for way, own in seconds.items()
    ]


@torch.no_grad()
def measure_model(name: str, arguments: argparse.Namespace) -> List[Dict[str, Any]]:
    """All that is measured of a model, which is gone afterwards."""
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    results = []
    for job in MODELS[name]():
        print(f"measuring {job.model}, {job.rows}", file=sys.stderr)
        with TemporaryDirectory() as folder:
            ways = ways_of(job, arguments.ways, device, Path(folder), arguments.backend)
            if ways:
                results += measure(job, ways, arguments.batch, arguments.turns, device)
        torch.compiler.reset()
    return results


def show(results: List[Dict[str, Any]]) -> str:
    lines = [
        (
            row["model"],
            row["way"],
            f"{row['per_second']:,.1f} {row['rows']}",
            f"{row['speed']:.2f}",
        )
        for row in results
    ]
    headers = ["model", "way", "a second", "x the first"]
    return tabulate(lines, headers, disable_numparse=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--models", nargs="+", choices=MODELS, default=list(MODELS))
    add("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    add("--batch", type=int, default=16)
    add("--turns", type=int, default=5)
    add("--device", default="cpu")
    add("--backend", default="inductor", help="of torch.compile")
    add("--json", type=Path, default=None, help="file to write")
    arguments = parser.parse_args()
    results = []
    for name in arguments.models:
        results += measure_model(name, arguments)
    print(show(results))
    settings = {key: str(value) for key, value in vars(arguments).items()}
    settings["precision"] = "float32"
    write_results(arguments.json, {"settings": settings, "rows": results})


if __name__ == "__main__":
    main()
