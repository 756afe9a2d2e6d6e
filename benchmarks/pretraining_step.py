# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Speed and memory of a pretraining step on pairs, beside TorchMultimodal's own FLAVA.

    python -m benchmarks.pretraining_step                          # the mask ratios 38 % and 50 %
    python -m benchmarks.pretraining_step --ratios 0.5 --json step.json
    python -m benchmarks.pretraining_step --ratios 0.5 --changes   # what each change gives

Same sizes, images, captions, masks, losses (masked modelling of both modalities by the multimodal encoder, image-text
matching with 10 % wrong pairs, global contrast), precision and optimizer (fused AdamW, part of the step). Images are
predicted as codes of a codebook, whose own time is left out of all. FLAVA's captions are padded to 77 tokens, MMET's
to the batch's longest; that is part of what is compared. The contenders take turns in one process, so that what else
the machine does meets all alike: the ratios are medians over the turns. Memory is the greatest of a process of its own
for each.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import torch
from benchmarks.measuring import MIB, reset_peak, resident, wait_for, write_results
from benchmarks.pretraining_batch import Batch, make_batch, Size
from benchmarks.pretraining_contenders import build, CHANGES, CONTENDERS
from tabulate import tabulate
from torch import nn

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, precision: str
) -> Tuple[float, float]:
    """One step; its seconds, and those of the optimizer in it."""
    device = batch.image.device
    wait_for(device)
    start = time.perf_counter()
    dtype = PRECISIONS[precision]
    with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
        loss = model(batch)
    loss.backward()
    wait_for(device)
    middle = time.perf_counter()
    optimizer.step()
    optimizer.zero_grad()
    wait_for(device)
    end = time.perf_counter()
    if not torch.isfinite(loss):
        raise RuntimeError(f"the loss is {loss.item()}: nothing was measured")
    return end - start, end - middle


def measure_speed(
    names: List[str],
    precisions: List[str],
    size: Size,
    device: torch.device,
    turns: int,
) -> Dict[str, List[Tuple[float, float]]]:
    """Seconds of each contender's steps, ``{"name precision": [(step, its optimizer), ...]}``, one step a turn."""
    batch = make_batch(size, device)
    built = {}
    for name in names:
        model, optimizer = build(name, size)
        built[name] = (model.to(device), optimizer)
    seconds: Dict[str, List[Tuple[float, float]]] = {}
    for turn in range(turns + 1):
        for precision in precisions:
            for name in names:
                took = step(*built[name], batch, precision)
                if turn > 0:  # the first allocates and compiles kernels
                    seconds.setdefault(f"{name} {precision}", []).append(took)
    return seconds


def measure_memory(name: str, precision: str, size: Size, device: torch.device) -> int:
    """Most bytes that three steps take, above what the process had before it built the model."""
    batch = make_batch(size, device)
    before = resident("VmRSS")
    model, optimizer = build(name, size)
    model.to(device)
    reset_peak()
    for _ in range(3):
        step(model, optimizer, batch, precision)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resident("VmHWM") - before


def memory_apart(name: str, precision: str, size: Size, device: str) -> float:
    """MiB of :func:`measure_memory` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.pretraining_step", "--device", device]
    command += ["--memory-of", name, "--precisions", precision]
    for key, value in size._asdict().items():
        command += [f"--{key.replace('_', '-')}", str(value)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout) / MIB


def compare(arguments: argparse.Namespace, size: Size) -> List[Dict[str, Any]]:
    """All contenders at one mask ratio."""
    names, precisions = arguments.contenders, arguments.precisions
    device = torch.device(arguments.device)
    seconds = measure_speed(names, precisions, size, device, arguments.turns)
    rows = []
    for precision in precisions:
        for name in names:
            own = [took for took, _ in seconds[f"{name} {precision}"]]
            flava = [took for took, _ in seconds[f"{names[0]} {precision}"]]
            ratios = [theirs / ours for theirs, ours in zip(flava, own)]
            row = {
                "contender": name,
                "precision": precision,
                "patch_ratio": size.patch_ratio,
                "seconds": statistics.median(own),
                "optimizer_seconds": statistics.median(
                    took for _, took in seconds[f"{name} {precision}"]
                ),
                "pairs_per_second": size.batch / statistics.median(own),
                "speed": statistics.median(ratios),
                "speeds": ratios,
            }
            if not arguments.no_memory:
                row["memory_mib"] = memory_apart(
                    name, precision, size, arguments.device
                )
                first = next(
                    row for row in [*rows, row] if row["precision"] == precision
                )
                row["memory"] = row["memory_mib"] / first["memory_mib"]
            rows.append(row)
    if precisions == list(PRECISIONS):
        default = [took for took, _ in seconds[f"{names[0]} float32"]]
        for row in rows:
            own = [
                took for took, _ in seconds[f"{row['contender']} {row['precision']}"]
            ]
            row["speed_to_float32"] = statistics.median(
                theirs / ours for theirs, ours in zip(default, own)
            )
    return rows


def show(rows: List[Dict[str, Any]]) -> str:
    header = {
        "patch_ratio": "masked",
        "precision": "precision",
        "contender": "",
        "seconds": "s a step",
        "optimizer_seconds": "of it optimizer",
        "pairs_per_second": "pairs/s",
        "speed": "x FLAVA",
        "speed_to_float32": "x FLAVA float32",
        "memory_mib": "MiB",
        "memory": "of FLAVA's",
    }
    formats = {
        "patch_ratio": "{:.0%}",
        "seconds": "{:.2f}",
        "optimizer_seconds": "{:.2f}",
        "pairs_per_second": "{:.1f}",
        "speed": "{:.2f}",
        "speed_to_float32": "{:.2f}",
        "memory_mib": "{:.0f}",
        "memory": "{:.2f}",
    }
    lines = [
        [
            formats.get(key, "{}").format(row[key]) if key in row else "-"
            for key in header
        ]
        for row in rows
    ]
    return tabulate(lines, list(header.values()), disable_numparse=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    choices = {"choices": tuple(CONTENDERS), "metavar": "NAME"}
    parser.add_argument(
        "--contenders", nargs="+", default=list(CONTENDERS)[:3], **choices
    )
    parser.add_argument(
        "--changes",
        dest="contenders",
        action="store_const",
        const=list(CHANGES),
        help="compare what lies between FLAVA and drop",
    )
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS)
    )
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.38, 0.5])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", type=Path, default=None, help="file to write")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS, **choices)
    for key, value in Size()._asdict().items():
        if key != "patch_ratio":
            flag = f"--{key.replace('_', '-')}"
            parser.add_argument(flag, type=type(value), default=value)
    parser.add_argument("--patch-ratio", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = {key: getattr(arguments, key) for key in Size._fields}
    if arguments.memory_of:
        device, precision = torch.device(arguments.device), arguments.precisions[0]
        print(measure_memory(arguments.memory_of, precision, Size(**sizes), device))
        return

    rows = []
    for ratio in arguments.ratios:
        print(f"measuring with {ratio:.0%} of the patches masked", file=sys.stderr)
        rows += compare(arguments, Size(**{**sizes, "patch_ratio": ratio}))
    print(show(rows))
    sizes.pop("patch_ratio")
    result = {"size": sizes, "rows": rows}
    write_results(arguments.json, result)


if __name__ == "__main__":
    main()
