# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The whole of MMET on a small world: render, pretrain, fine-tune, evaluate on a seen and on an unseen domain.

    python -m examples.demo

Each step is a command that is printed before it runs, so that it can be copied and changed.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Dict, List, Tuple

from tabulate import tabulate

CONFIGS = "examples/mmet/configs"
# the arguments of the two domains; the target has other cameras, other light, other fashion, and other people
DOMAINS = {
    "source": "--identities 1000 --test-identities 100 --domain 0 --seed 0",
    "target": "--identities 102 --test-identities 100 --domain 1 --seed 1",
}
WORLD = "--cameras 6 --images-per-camera 2 --image-size 128 64"


def run(module: str, arguments: str) -> None:
    """Prints and runs ``python -m module arguments``; stops the demo if it fails."""
    command = [sys.executable, "-m", module, *shlex.split(arguments)]
    print(f"\n$ python -m {module} {arguments}", flush=True)
    started = time.monotonic()
    status = subprocess.run(command).returncode
    if status != 0:
        sys.exit(f"the command above failed with status {status}")
    print(f"({time.monotonic() - started:.0f} s)", flush=True)


def read_results(path: Path) -> List[Dict[str, Any]]:
    """The rows of a results.json."""
    return json.loads(path.read_text(encoding="utf-8"))["results"]


def summary(results: Dict[str, List[Dict[str, Any]]]) -> str:
    """One table of all domains: mAP, rank-1 and mINP in percent."""
    names = [row["name"] for row in next(iter(results.values()))]
    lines = []
    for position, name in enumerate(names):
        line: List[str] = [name]
        for rows in results.values():
            metrics = rows[position]["metrics"]
            line += [
                f"{100 * value:.1f}"
                for value in (metrics["mAP"], metrics["cmc"][0], metrics["mINP"])
            ]
        lines.append(line)
    header = [""] + [
        f"{domain} {name}" for domain in results for name in ("mAP", "rank-1", "mINP")
    ]
    return tabulate(
        lines,
        header,
        disable_numparse=True,
        colalign=["left"] + ["right"] * (len(header) - 1),
    )


def parse() -> Tuple[Path, Path]:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--datasets",
        type=Path,
        default=Path("datasets"),
        help="where the rendered domains go",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        help="where the runs go, each into a new folder",
    )
    arguments = parser.parse_args()
    stamp = datetime.now().strftime("demo-%Y%m%d-%H%M%S")
    return arguments.datasets, arguments.runs / stamp


def main() -> None:
    started = time.monotonic()
    datasets, runs = parse()
    for name, arguments in DOMAINS.items():
        run(
            "torchmultimodal_reid.data.synthetic",
            f"--out {datasets / name} {arguments} {WORLD}",
        )
    root = f"data.root={datasets / 'source'}"
    pretrained, finetuned = runs / "pretrain", runs / "finetune"
    run(
        "examples.mmet.pretrain",
        f"--config {CONFIGS}/demo_pretrain.yaml {root} output={pretrained}",
    )
    run(
        "examples.mmet.finetune",
        f"--config {CONFIGS}/demo_finetune.yaml {root} pretrained={pretrained / 'best'} output={finetuned}",
    )
    for name in DOMAINS:
        run(
            "examples.mmet.evaluate",
            f"checkpoint={finetuned / 'best'} data.root={datasets / name} data.name={name} output={runs / name}",
        )
    results = {name: read_results(runs / name / "results.json") for name in DOMAINS}
    print(
        "\nMMET on the synthetic pedestrians, in percent; trained on the source domain only\n"
    )
    print(summary(results))
    pictures = sorted(runs.rglob("*.png"))
    print("\npictures:", *(f"  {path}" for path in pictures), sep="\n")
    print(f"\n{time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    main()
