# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What pretraining gives: the demo's fine-tuning from pretrained and from random weights, over several seeds.

    python -m benchmarks.pretraining_gain --datasets datasets --output runs/gain --seeds 3

``make demo`` renders the two domains. A run that is there already is not made again, so the command can be stopped and
given once more. About 12 minutes a seed on two cores.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Dict, List

from benchmarks.recipe_runs import finetune, mean_precision, pretrain, QUERIES
from examples.demo import DOMAINS
from tabulate import tabulate
from torchmultimodal_reid.utils.atomic import write_file_atomically
from torchmultimodal_reid.utils.environment import environment_stamp

STARTS = ("pretrained", "random")


def train(datasets: Path, output: Path, seed: int) -> None:
    """Both fine-tunings of one seed, evaluated on both domains."""
    pretrained = output / "pretrain"
    pretrain(datasets, pretrained, seed)
    for start in STARTS:
        first = [f"pretrained={pretrained / 'best'}"] if start == "pretrained" else []
        finetune(datasets, output / start, seed, *first)


def collect(output: Path, seeds: List[int]) -> List[Dict[str, object]]:
    """One row for each domain, query and start, with the mAP of every seed."""
    rows: List[Dict[str, object]] = []
    for domain in DOMAINS:
        for query in QUERIES:
            for start in STARTS:
                values = [
                    mean_precision(output / f"seed{seed}" / start, domain, query)
                    for seed in seeds
                ]
                rows.append(
                    {
                        "domain": domain,
                        "query": query,
                        "start": start,
                        "mAP": values,
                        "mean": statistics.mean(values),
                        "spread": statistics.stdev(values) if len(values) > 1 else 0.0,
                    }
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pretraining_gain")
    parser.add_argument("--datasets", type=Path, default=Path("datasets"))
    parser.add_argument("--output", type=Path, default=Path("runs/gain"))
    parser.add_argument("--seeds", type=int, default=3, help="how many: 0, 1, ...")
    arguments = parser.parse_args()
    seeds = list(range(arguments.seeds))
    for seed in seeds:
        train(arguments.datasets, arguments.output / f"seed{seed}", seed)
    rows = collect(arguments.output, seeds)
    report = {"rows": rows, "seeds": seeds, "environment": environment_stamp()}
    path = arguments.output / "pretraining_gain.json"
    write_file_atomically(path, json.dumps(report, indent=2) + "\n")
    table = [
        [
            row["domain"],
            row["query"],
            row["start"],
            f"{100 * float(str(row['mean'])):.1f}",
            f"{100 * float(str(row['spread'])):.1f}",
        ]
        for row in rows
    ]
    print(f"\nmAP in percent, mean and standard deviation of {len(seeds)} seeds")
    print(
        tabulate(
            table, ["domain", "query", "start", "mAP", "sd"], disable_numparse=True
        )
    )
    print(f"written: {path}")


if __name__ == "__main__":
    main()
