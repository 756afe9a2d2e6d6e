# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Boxes and arrows, in inches from the upper left corner."""

from pathlib import Path
from typing import List, NamedTuple, Tuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

INK = "#222222"
FAINT = "#5f5f5f"
# pale fillings of Okabe and Ito's colours, told apart by people who see no red or no green
IMAGE = "#cfe6f5"
TEXT = "#fbe5bf"
BOTH = "#cdebdf"
LOSS = "#f3dbe8"
PLAIN = "#eeeeee"
DPI = 150


class Box(NamedTuple):
    """A drawn box, by its edges."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> Tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


class Diagram:
    """A picture of ``width`` x ``height`` inches."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, width)
        self.axes.set_ylim(height, 0)
        self.axes.axis("off")
        self.labels: List[Tuple[Text, Box]] = []  # what has to fit into what

    def box(
        self,
        left: float,
        top: float,
        width: float,
        height: float,
        text: str,
        color: str,
        size: float = 9.5,
    ) -> Box:
        shape = FancyBboxPatch(
            (left, top),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=color,
            edgecolor=INK,
            linewidth=0.8,
        )
        self.axes.add_patch(shape)
        label = self.say(left + width / 2, top + height / 2, text, size=size)
        drawn = Box(left, top, left + width, top + height)
        self.labels.append((label, drawn))
        return drawn

    def say(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 9.5,
        color: str = INK,
        across: str = "center",
        bold: bool = False,
    ) -> Text:
        return self.axes.text(
            x,
            y,
            text,
            fontsize=size,
            color=color,
            ha=across,
            va="center",
            linespacing=1.3,
            fontweight="bold" if bold else "normal",
        )

    def arrow(self, *points: Tuple[float, float], color: str = INK) -> None:
        """A line through ``points`` with a head at the last."""
        across, down = zip(*points)
        self.axes.plot(across, down, color=color, linewidth=1.1, zorder=0)
        self.axes.annotate(
            "",
            xy=points[-1],
            xytext=points[-2],
            arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 1.1},
        )

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.figure.savefig(path, metadata={"Software": None})
