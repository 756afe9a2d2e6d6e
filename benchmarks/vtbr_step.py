# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Speed of VTBR's pretraining step, beside the published formulation with the same weights and the same batch.

    python -m benchmarks.vtbr_step --json runs/bench/vtbr_step.json
    python -m benchmarks.vtbr_step --device cuda --batch 128 --precisions bf16

VirTex embeds, decodes and predicts each direction for itself, with logits of every position. The library embeds and
predicts both in one pass and computes logits of the tokens that count. "as the recipes" adds what they set: channels
last, and on a CPU the quicker attention. A step is forward and backward; contenders take turns in one process.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any, Dict, List

import torch
from benchmarks.measuring import wait_for, write_results
from benchmarks.vtbr_contenders import contenders, make_batch, Size, step
from tabulate import tabulate

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}


def compare(
    size: Size, precision: str, device: torch.device, turns: int
) -> List[Dict[str, Any]]:
    """One row for each contender; ratios are of the same turn."""
    batch = make_batch(size, device)
    built = contenders(size, device)
    seconds: Dict[str, List[float]] = {name: [] for name in built}
    for turn in range(turns + 1):
        for name, contender in built.items():
            start = time.perf_counter()
            step(contender, batch, PRECISIONS[precision])
            wait_for(device)
            if turn > 0:  # the first allocates and compiles kernels
                seconds[name].append(time.perf_counter() - start)
    published = seconds["published"]
    return [
        {
            "precision": precision,
            "contender": name,
            "seconds": statistics.median(own),
            "images_per_second": size.batch / statistics.median(own),
            "speed": statistics.median(
                theirs / ours for theirs, ours in zip(published, own)
            ),
        }
        for name, own in seconds.items()
    ]


def show(rows: List[Dict[str, Any]]) -> str:
    lines = [
        (
            row["precision"],
            row["contender"],
            f"{row['seconds']:.2f}",
            f"{row['images_per_second']:.1f}",
            f"{row['speed']:.2f}",
        )
        for row in rows
    ]
    header = ["precision", "", "s a step", "images/s", "x published"]
    return tabulate(lines, header, disable_numparse=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS)
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, default=None, help="file to write")
    for key, value in Size()._asdict().items():
        parser.add_argument(
            f"--{key.replace('_', '-')}", type=type(value), default=value
        )
    arguments = parser.parse_args()
    size = Size(**{key: getattr(arguments, key) for key in Size._fields})
    rows = [
        row
        for precision in arguments.precisions
        for row in compare(
            size, precision, torch.device(arguments.device), arguments.turns
        )
    ]
    print(show(rows))
    write_results(arguments.json, {"size": size._asdict(), "rows": rows})


if __name__ == "__main__":
    main()
