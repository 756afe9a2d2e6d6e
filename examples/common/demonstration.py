# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""A demonstration: commands that are printed, run and timed, and one table of what came out."""

import argparse
import json
import shlex
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from tabulate import tabulate

WORLD = "--cameras 6 --image-size 128 64"


def parse(prog: str, description: str, datasets: Path, name: str) -> Tuple[Path, Path]:
    """Where the rendered domains go, and the new folder of this demonstration's runs.

    Args:
        prog (str): What ``--help`` calls the program.
        description (str): Its first line says what is shown.
        datasets (Path): Where the domains go if nothing else is said.
        name (str): How the folder's name begins; the time follows.
    """
    parser = argparse.ArgumentParser(
        prog=prog, description=description.split("\n", maxsplit=1)[0]
    )
    parser.add_argument(
        "--datasets",
        type=Path,
        default=datasets,
        help="where the rendered domains go",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        help="where the runs go, each into a new folder",
    )
    arguments = parser.parse_args()
    stamp = datetime.now().strftime(f"{name}-%Y%m%d-%H%M%S")
    return arguments.datasets, arguments.runs / stamp


def run(module: str, *arguments: str) -> None:
    """Prints, runs and times ``python -m module arguments``; ends the program if it fails."""
    command = [sys.executable, "-m", module, *arguments]
    print(f"\n$ python -m {shlex.join(command[2:])}", flush=True)
    started = time.monotonic()
    status = subprocess.run(command).returncode
    if status != 0:
        sys.exit(f"the command above failed with status {status}")
    print(f"({time.monotonic() - started:.0f} s)", flush=True)


def render(datasets: Path, domains: Mapping[str, str]) -> None:
    """Renders each domain, from its arguments by name; one that is there already is kept."""
    for name, arguments in domains.items():
        run(
            "torchmultimodal_reid.data.synthetic",
            f"--out={datasets / name}",
            *arguments.split(),
            *WORLD.split(),
        )


def read_results(path: Path) -> List[Dict[str, Any]]:
    """The rows of a results.json."""
    return json.loads(path.read_text(encoding="utf-8"))["results"]


def percent_table(
    lines: Mapping[str, Sequence[Mapping[str, Any]]], domains: Sequence[str]
) -> str:
    """mAP, rank-1 and mINP in percent.

    Args:
        lines (Mapping[str, Sequence[Mapping[str, Any]]]): Title -> one row of a results.json for each domain.
        domains (Sequence[str]): Their names.
    """
    cells = []
    for title, rows in lines.items():
        line = [title]
        for row in rows:
            metrics = row["metrics"]
            values = (metrics["mAP"], metrics["cmc"][0], metrics["mINP"])
            line += [f"{100 * value:.1f}" for value in values]
        cells.append(line)
    header = [""] + [
        f"{domain} {name}" for domain in domains for name in ("mAP", "rank-1", "mINP")
    ]
    align = ["left"] + ["right"] * (len(header) - 1)
    return tabulate(cells, header, disable_numparse=True, colalign=align)


def close(runs: Path, started: float) -> None:
    """Prints where the pictures are, and what all of it took.

    Args:
        runs (Path): This demonstration's runs.
        started (float): When it began, by ``time.monotonic()``.
    """
    pictures = sorted(runs.rglob("*.png"))
    print("\npictures:", *(f"  {path}" for path in pictures), sep="\n")
    print(f"\n{time.monotonic() - started:.0f} s in all")
