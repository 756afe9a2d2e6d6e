# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Does the faster masked stream teach less? "drop" beside "replace" in equal steps and in equal time, over seeds.

    python -m benchmarks.masking_modes --datasets datasets --output runs/masking-modes --seeds 3

``make demo`` renders the source domain. Each run is the demonstration's pretraining with a tenth of the people held
out; at its end they are searched by an image and by a caption, with the embeddings of the contrast. "drop" sees the
whole batch masked, for all losses in one pass, as FLIP does; "replace" sees a quarter of it masked, and contrasts all
of it unmasked, as the demonstration does. Equal time is as many steps of "drop" as fit into the time of "replace", by
the images a second of the runs in equal steps. A run that is there already is not made again.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, Dict, List, Sequence

from benchmarks.measuring import write_results
from benchmarks.recipe_runs import spread, train
from examples.demo import CONFIGS
from tabulate import tabulate

MODES = {
    "replace": ["masking.mode=replace"],
    "drop": ["masking.mode=drop", "masked_share=1.0"],
}
METRICS = ("image_mAP", "image_rank1", "text_mAP", "text_rank1")


def pretrain(
    datasets: Path, folder: Path, mode: str, seed: int, steps: int, more: Sequence[str]
) -> List[Dict[str, Any]]:
    """The lines of ``metrics.jsonl`` of a run, which is made if it is not there."""
    # the picture is what a run leaves last
    if not (folder / "reconstruction.png").is_file():
        train(
            "examples.mmet.pretrain",
            f"{CONFIGS}/demo_pretrain.yaml",
            folder,
            f"data.root={datasets / 'source'}",
            "data.validation_share=0.1",
            f"loop.steps={steps}",
            f"loop.evaluate_every={steps}",
            f"seed={seed}",
            *MODES[mode],
            *more,
        )
    with open(folder / "metrics.jsonl", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def rate(lines: Sequence[Dict[str, Any]]) -> float:
    """Images a second of a run: the median over what was logged."""
    key = "train/images_per_second"
    return statistics.median(line[key] for line in lines if key in line)


def final_metrics(lines: Sequence[Dict[str, Any]]) -> Dict[str, float]:
    """What the held-out people gave at the end of a run."""
    last = [line for line in lines if "validation/selection" in line][-1]
    return {name: last[f"validation/{name}"] for name in METRICS}


def equal_time_steps(
    steps: int, replace: Sequence[float], drop: Sequence[float]
) -> int:
    """How many steps of "drop" take as long as ``steps`` of "replace", by the images a second of each seed's runs."""
    return round(steps * statistics.median(d / r for d, r in zip(drop, replace)))


def summarise(
    name: str, steps: int, runs: Sequence[List[Dict[str, Any]]]
) -> Dict[str, Any]:
    found = [final_metrics(lines) for lines in runs]
    row: Dict[str, Any] = {"run": name, "steps": steps}
    row.update({metric: [one[metric] for one in found] for metric in METRICS})
    row["images_per_second"] = [rate(lines) for lines in runs]
    return row


def table(rows: Sequence[Dict[str, Any]]) -> str:
    lines = [
        [
            row["run"],
            row["steps"],
            *(spread(row[metric]) for metric in METRICS),
            f"{statistics.median(row['images_per_second']):.0f}",
        ]
        for row in rows
    ]
    header = ["run", "steps", *(name.replace("_", " ") for name in METRICS), "images/s"]
    return tabulate(lines, header, disable_numparse=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.masking_modes")
    add = parser.add_argument
    add("--datasets", type=Path, default=Path("datasets"))
    add("--output", type=Path, default=Path("runs/masking-modes"))
    add("--seeds", type=int, default=3, help="how many: 0, 1, ...")
    add("--steps", type=int, default=700, help="of replace, and of drop in equal steps")
    add(
        "--with",
        dest="more",
        nargs="+",
        default=[],
        metavar="key=value",
        help="changes of the configuration of both, for a new --output",
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse()

    def lines(seed: int, name: str, mode: str, steps: int) -> List[Dict[str, Any]]:
        folder = arguments.output / f"seed{seed}" / name
        return pretrain(arguments.datasets, folder, mode, seed, steps, arguments.more)

    steps, seeds = arguments.steps, range(arguments.seeds)
    replace, drop = [], []
    # by turns, so that what else the machine does meets both alike
    for seed in seeds:
        replace.append(lines(seed, "replace", "replace", steps))
        drop.append(lines(seed, "drop", "drop", steps))
    more = equal_time_steps(steps, [*map(rate, replace)], [*map(rate, drop)])
    # named by its steps: another measurement of the speed asks for another run
    equal_time = [lines(seed, f"drop-{more}", "drop", more) for seed in seeds]
    rows = [
        summarise("replace", steps, replace),
        summarise("drop, equal steps", steps, drop),
        summarise("drop, equal time", more, equal_time),
    ]
    write_results(arguments.output / "masking_modes.json", rows)
    print(
        f"\nheld-out people, in percent: mean and standard deviation of {arguments.seeds} seeds"
    )
    print(table(rows))


if __name__ == "__main__":
    main()
