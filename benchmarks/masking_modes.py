# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Does the faster masked stream teach less? "drop" beside "replace" in equal steps and in equal time, over seeds.

    python -m benchmarks.masking_modes --datasets datasets --output runs/masking-modes --seeds 3

``make demo`` renders the domains. Each run is the demonstration's pretraining with a tenth of the people held out, who
are then searched by an image and by a caption with the embeddings of the contrast, and its fine-tuning, evaluated on
both domains. "drop" differs from it in the masked stream alone: of a quarter of the batch, while the contrast sees all
of it unmasked. "drop-contrast" contrasts images without their dropped patches, as FLIP does, and drops single ones. It
is for images of many patches: ``--with model.patch_size=8`` makes them 128 instead of 32. Equal time is
as many steps as fit into the time of "replace", by the images a second of short runs that take turns; where the two are
within a twentieth of each other, equal steps are equal time. A run that is there already is not made again.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

from benchmarks import recipe_runs
from benchmarks.measuring import write_results
from benchmarks.recipe_runs import finetune, mean_precision, QUERIES, spread
from examples.common.logging import METRICS_FILE
from examples.demo import DOMAINS
from tabulate import tabulate

# the demonstration's model is as narrow as drop's decoders usually are, so they are half as wide
DROP = ["masking.mode=drop", "masking.decoder_dim=96"]
MODES = {
    "replace": ["masking.mode=replace"],
    "drop": [*DROP, "contrast_masked=false"],
    "drop-contrast": [
        *DROP,
        "contrast_masked=true",
        "contrast_whole_text=true",
        # single patches: a rectangle may hide all that a person wears
        "masking.block_wise=false",
        "masking.patch_ratio=[0.3,0.3]",
    ],
}
HELD_OUT = ("image_mAP", "text_mAP")
NEAR = 0.05
TURNS, SHORT = 3, 40  # short runs of each mode and their steps


class Run(NamedTuple):
    """A mode, trained for some steps with every seed."""

    name: str
    steps: int
    speed: float  # images a second of "replace" in the same turn are 1
    folders: List[Path]  # of each seed
    lines: List[List[Dict[str, Any]]]  # of each seed's pretraining, as it logged them


def pretrain(
    datasets: Path, folder: Path, mode: str, seed: int, steps: int, more: Sequence[str]
) -> List[Dict[str, Any]]:
    """What a run logged, which is made if it is not there."""
    changes = ["data.validation_share=0.1", f"loop.steps={steps}"]
    changes += [f"loop.evaluate_every={steps}", *MODES[mode], *more]
    recipe_runs.pretrain(datasets, folder, seed, *changes)
    with open(folder / METRICS_FILE, encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def measure_speeds(
    datasets: Path, folder: Path, modes: Sequence[str], more: Sequence[str]
) -> Dict[str, float]:
    """Images a second of each mode, those of "replace" in the same turn being 1: the median over the turns."""
    key = "train/images_per_second"
    rates: Dict[str, List[float]] = {mode: [] for mode in ["replace", *modes]}
    for turn in range(TURNS):
        for mode in rates:
            own = folder / f"{mode}-{turn}"
            short = ["loop.log_every=10", "schedule.warmup_steps=10", *more]
            lines = pretrain(datasets, own, mode, 0, SHORT, short)
            rates[mode].append(
                statistics.median(line[key] for line in lines if key in line)
            )
    return {
        mode: statistics.median(o / r for o, r in zip(own, rates["replace"]))
        for mode, own in rates.items()
    }


def equal_time_steps(steps: int, speed: float) -> int:
    """How many steps take as long as ``steps`` of what is not ``speed`` times as fast."""
    return steps if abs(speed - 1) <= NEAR else round(steps * speed)


def summarise(run: Run, domains: Sequence[str] = DOMAINS) -> Dict[str, Any]:
    """What each seed found, held-out people first, then the test people of ``domains`` after the fine-tuning."""
    row: Dict[str, Any] = {"run": run.name, "steps": run.steps}
    last = [
        next(line for line in reversed(lines) if "validation/selection" in line)
        for lines in run.lines
    ]
    for name in HELD_OUT:
        row[f"pretrained {name}"] = [line[f"validation/{name}"] for line in last]
    for domain in domains:
        for query in QUERIES:
            row[f"{domain} {query}"] = [
                mean_precision(folder / "finetune", domain, query)
                for folder in run.folders
            ]
    row["speed"] = run.speed
    return row


def table(rows: Sequence[Dict[str, Any]]) -> str:
    """A column for each run, a line for each score."""
    names = [key for key in rows[0] if key not in ("run", "steps", "speed")]
    lines = [["steps", *(row["steps"] for row in rows)]]
    lines += [[name, *(spread(row[name]) for row in rows)] for name in names]
    lines.append(["images/s, of replace's", *(f"{row['speed']:.2f}" for row in rows)])
    header = ["mAP of", *(row["run"] for row in rows)]
    return tabulate(lines, header, disable_numparse=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.masking_modes")
    add = parser.add_argument
    add("--datasets", type=Path, default=Path("datasets"))
    add("--output", type=Path, default=Path("runs/masking-modes"))
    add("--seeds", type=int, default=3, help="how many: 0, 1, ...")
    add("--steps", type=int, default=700, help="of replace, and of drop in equal steps")
    add("--modes", nargs="+", choices=list(MODES)[1:], default=["drop"], metavar="MODE")
    add("--only-pretraining", action="store_true", help="no fine-tuning after it")
    add(
        "--with",
        dest="more",
        nargs="+",
        default=[],
        metavar="key=value",
        help="changes of the pretraining's configuration for all, for a new --output",
    )
    return parser.parse_args()


def compare(arguments: argparse.Namespace) -> List[Run]:
    """Trains all that is not there."""
    datasets, seeds = arguments.datasets, range(arguments.seeds)

    def trained(mode: str, steps: int, name: str) -> Run:
        run = Run(name, steps, speeds[mode], [], [])
        for seed in seeds:
            # named by its steps: another measurement of the speed asks for another run
            folder = arguments.output / f"seed{seed}" / f"{mode}-{steps}"
            pretrained = folder / "pretrain"
            more = arguments.more
            run.folders.append(folder)
            run.lines.append(pretrain(datasets, pretrained, mode, seed, steps, more))
            if not arguments.only_pretraining:
                start = f"pretrained={pretrained / 'best'}"
                finetune(datasets, folder / "finetune", seed, start)
        return run

    speeds = measure_speeds(
        datasets, arguments.output / "speed", arguments.modes, arguments.more
    )
    runs = [trained("replace", arguments.steps, "replace")]
    for mode in arguments.modes:
        runs.append(trained(mode, arguments.steps, f"{mode}, equal steps"))
        more = equal_time_steps(arguments.steps, speeds[mode])
        if more != arguments.steps:
            runs.append(trained(mode, more, f"{mode}, equal time"))
    return runs


def main() -> None:
    arguments = parse()
    domains = () if arguments.only_pretraining else DOMAINS
    rows = [summarise(run, domains) for run in compare(arguments)]
    write_results(arguments.output / "masking_modes.json", rows)
    print(f"\nin percent: mean and standard deviation of {arguments.seeds} seeds")
    print(table(rows))


if __name__ == "__main__":
    main()
