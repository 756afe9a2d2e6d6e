# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What VTBR's pretraining gives: fine-tuning from it and from random weights, with fewer and fewer people, over seeds.

    python -m benchmarks.vtbr_gain --datasets datasets/vtbr --output runs/vtbr-gain --seeds 3
    python -m benchmarks.vtbr_gain --datasets datasets/vtbr --output runs/vtbr-gain --pretraining-share 1 0.7 0.5 0.25

``make demo-vtbr`` renders the domains. All fine-tunings have the demo's schedule in epochs. ``--share`` says how many
of the target's training identities they see; a smaller share is part of each larger one. ``--pretraining-share`` does
the same to the people with captions: does the model still match the one that saw them all? A run that is there already
is not made again, so the command can be stopped and given once more; both commands share what they have in common.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, Dict, List, Sequence

from benchmarks.vtbr_runs import finetune, image_metrics, pretrain
from examples.demo_vtbr import TESTED
from tabulate import tabulate
from torchmultimodal_reid.utils.atomic import write_file_atomically
from torchmultimodal_reid.utils.environment import environment_stamp

# below this share there are not 16 people for a batch: it has as many images of half as many people then
FEW = 0.2


def percent(share: float) -> str:
    return f"{100 * share:g}"


def start_name(pretraining_share: float) -> str:
    """How a start is called, in tables and folders; random weights have seen a share of 0."""
    if pretraining_share == 0:
        return "random"
    return f"vtbr{percent(pretraining_share)}"


def result_folder(output: Path, seed: int, start: float, share: float) -> Path:
    return output / f"seed{seed}" / f"{start_name(start)}-{percent(share)}"


def collect(
    output: Path, seeds: Sequence[int], starts: Sequence[float], shares: Sequence[float]
) -> List[Dict[str, Any]]:
    """One row for each domain, share of people and start, with mAP and rank-1 of every seed."""
    rows: List[Dict[str, Any]] = []
    for domain in TESTED:
        for share in shares:
            for start in starts:
                found = [
                    image_metrics(result_folder(output, seed, start, share) / domain)
                    for seed in seeds
                ]
                maps = [metrics["mAP"] for metrics in found]
                rows.append(
                    {
                        "domain": domain,
                        "share": share,
                        "start": start_name(start),
                        "mAP": maps,
                        "rank1": [metrics["cmc"][0] for metrics in found],
                        "mean": statistics.mean(maps),
                        "spread": statistics.stdev(maps) if len(maps) > 1 else 0.0,
                    }
                )
    return rows


def table(rows: Sequence[Dict[str, Any]]) -> str:
    lines = [
        [
            row["domain"],
            f"{percent(row['share'])} %",
            row["start"],
            f"{100 * row['mean']:.1f}",
            f"{100 * row['spread']:.1f}",
            f"{100 * statistics.mean(row['rank1']):.1f}",
        ]
        for row in rows
    ]
    header = ["domain", "identities", "start", "mAP", "sd", "rank-1"]
    return tabulate(lines, header, disable_numparse=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vtbr_gain")
    parser.add_argument("--datasets", type=Path, default=Path("datasets/vtbr"))
    parser.add_argument("--output", type=Path, default=Path("runs/vtbr-gain"))
    parser.add_argument("--seeds", type=int, default=3, help="how many: 0, 1, ...")
    parser.add_argument(
        "--only-seed",
        type=int,
        help="make this seed's runs and no table: several processes can share the work",
    )
    parser.add_argument(
        "--share",
        type=float,
        nargs="+",
        default=[1.0, 0.3, 0.1],
        help="shares of the target's training identities",
    )
    parser.add_argument(
        "--pretraining-share",
        type=float,
        nargs="+",
        default=[1.0],
        help="shares of the people with captions",
    )
    parser.add_argument(
        "--pretrain-with",
        nargs="+",
        default=[],
        metavar="key=value",
        help="changes of the pretraining's configuration, for a new --output",
    )
    return parser.parse_args()


def train(arguments: argparse.Namespace, seed: int, starts: Sequence[float]) -> None:
    """All runs of a seed that are not there."""
    datasets = arguments.datasets
    tests = {name: [f"data.root={datasets / name}"] for name in TESTED}
    for start in starts:
        weights = "random"
        if start > 0:
            checkpoint = pretrain(
                arguments.output / f"seed{seed}" / f"pretrain-{start_name(start)}",
                f"data.root={datasets / 'captions'}",
                "data.options.train_only=true",
                f"data.identity_share={start}",
                f"seed={seed}",
                *arguments.pretrain_with,
            )
            weights = f"vtbr:{checkpoint}"
        for share in arguments.share:
            changes = [
                f"data.root={datasets / 'seen'}",
                f"data.identity_share={share}",
                f"model.weights={weights}",
                f"seed={seed}",
            ]
            if share < FEW:
                changes += ["identities_per_batch=8", "images_per_identity=8"]
            finetune(
                result_folder(arguments.output, seed, start, share), changes, tests
            )


def main() -> None:
    arguments = parse()
    starts = [0.0, *arguments.pretraining_share]
    if arguments.only_seed is not None:
        train(arguments, arguments.only_seed, starts)
        return
    seeds = list(range(arguments.seeds))
    for seed in seeds:
        train(arguments, seed, starts)
    rows = collect(arguments.output, seeds, starts, arguments.share)
    report = {
        "rows": rows,
        "seeds": seeds,
        "pretrain_with": arguments.pretrain_with,
        "environment": environment_stamp(),
    }
    names = "-".join(start_name(start) for start in starts)
    path = arguments.output / f"{names}.json"
    write_file_atomically(path, json.dumps(report, indent=2) + "\n")
    print(f"\nmAP in percent, mean and standard deviation of {len(seeds)} seeds")
    print(table(rows))
    print(f"written: {path}")


if __name__ == "__main__":
    main()
