# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Draws what runs of one recipe logged while they trained, a thin line each, and prints their mean as a table.

    python -m docs.figures.curves runs/seed*/pretrain --keys train/loss validation/bleu4 --out docs/images/curves.png

``--keys`` are names of ``metrics.jsonl``. The table is Markdown: each key after shares of the run's steps, mean and
standard deviation over the runs, empty before it was logged. So a user sees whether a run of their own goes well.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from docs.figures.drawing import DPI, INK
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tabulate import tabulate

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
PANEL = (3.2, 2.4)  # inches


class Curve(NamedTuple):
    """One key of one run."""

    steps: List[int]
    values: List[float]

    def after(self, step: float) -> Optional[float]:
        """The value that was logged last when so many steps were done; None where there was none yet."""
        logged = [
            value for at, value in zip(self.steps, self.values) if at <= step + 1e-9
        ]
        return logged[-1] if logged else None


def read_curve(run: Path, key: str) -> Curve:
    """Reads a key of a run's ``metrics.jsonl``.

    Raises:
        ValueError: If the run never logged it; the message names what it logged.
    """
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    found = [(row["step"], row[key]) for row in rows if key in row]
    if not found:
        known = sorted({name for row in rows for name in row} - {"step"})
        raise ValueError(f"{run} logged no {key}; expected one of {', '.join(known)}")
    steps, values = zip(*found)
    return Curve(list(steps), list(values))


def curve_table(runs: Sequence[Path], keys: Sequence[str]) -> str:
    """The keys after shares of the steps, in Markdown."""
    lines = []
    for key in keys:
        curves = [read_curve(run, key) for run in runs]
        cells = []
        for share in SHARES:
            values = [curve.after(share * curve.steps[-1]) for curve in curves]
            known = [value for value in values if value is not None]
            cells.append(_spread(known) if len(known) == len(values) else "")
        lines.append([f"`{key}`", *cells])
    header = ["after", *(f"{100 * share:g} %" for share in SHARES)]
    return tabulate(lines, header, tablefmt="github", disable_numparse=True)


def draw(runs: Sequence[Path], keys: Sequence[str]) -> Figure:
    """A panel for each key, a line for each run."""
    width, height = PANEL
    figure = Figure(figsize=(width * len(keys), height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    for number, key in enumerate(keys, start=1):
        axes = figure.add_subplot(1, len(keys), number)
        curves = [read_curve(run, key) for run in runs]
        for curve in curves:
            few = len(curve.steps) < 12
            axes.plot(
                curve.steps, curve.values, color=INK, linewidth=0.8,
                alpha=0.7, marker="." if few else None,
            )  # fmt: skip
        axes.set_title(key, fontsize=9)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.set_xlim(0, 1.03 * max(curve.steps[-1] for curve in curves))
        axes.set_ylim(0, 1.08 * max(max(curve.values) for curve in curves))
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def _spread(values: Sequence[float]) -> str:
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{mean:.3g}"
    return f"{mean:.3g} ± {statistics.stdev(values):.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m docs.figures.curves",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs")
    parser.add_argument("--keys", nargs="+", default=["train/loss"])
    parser.add_argument("--out", type=Path, required=True, help="a .png")
    arguments = parser.parse_args()
    try:
        figure = draw(arguments.runs, arguments.keys)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, metadata={"Software": None})
    print(curve_table(arguments.runs, arguments.keys))
    print(f"written: {arguments.out}")


if __name__ == "__main__":
    main()
