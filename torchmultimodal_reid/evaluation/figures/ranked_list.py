# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import textwrap
from typing import NamedTuple, Optional, Sequence, Tuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torchmultimodal_reid.evaluation.figures.canvas import (
    FAINT,
    INK,
    new_figure,
    place,
    RIGHT,
    show_image,
    WRONG,
)

# inches
IMAGE_WIDTH = 0.78
TEXT_WIDTH = 1.9
GAP = 0.1
MARGIN = 0.2
BAND = 0.3  # above a row: what kind of query, ranks


class RankedResult(NamedTuple):
    """One image of a ranked list."""

    image: Tensor  # shape: (3, h, w), uint8 or floating in 0..1
    is_match: Optional[bool]  # None where nobody knows: neither green nor red
    note: str = ""  # a few letters under the image, such as the camera


class RankedQuery(NamedTuple):
    """One row of the picture: a query by image, by caption or by both."""

    results: Sequence[RankedResult]  # nearest first
    image: Optional[Tensor] = None  # shape: (3, h, w)
    caption: Optional[str] = None
    title: str = ""  # such as "text query, AP 63.2"


def draw_ranked_lists(
    queries: Sequence[RankedQuery], *, title: Optional[str] = None
) -> Figure:
    """Queries with the head of their ranked lists; right matches framed green and ticked, wrong ones red and crossed.

    Args:
        queries (Sequence[RankedQuery]): One row each.
        title (Optional[str]): Heading. Default: ``None``

    Returns:
        Figure: To be saved with :func:`~torchmultimodal_reid.evaluation.figures.canvas.save_figure`.

    Raises:
        ValueError: If there is no query, or one has neither image nor caption, or no result.
    """
    if not queries:
        raise ValueError("queries must hold at least one query to draw")
    for number, query in enumerate(queries):
        if query.image is None and query.caption is None:
            raise ValueError(f"query {number} must have an image, a caption or both")
        if not query.results:
            raise ValueError(f"query {number} must have at least one result")
    sample = queries[0].results[0].image
    height = IMAGE_WIDTH * sample.shape[-2] / sample.shape[-1]
    has_image = any(query.image is not None for query in queries)
    has_text = any(query.caption is not None for query in queries)
    query_width = (IMAGE_WIDTH + GAP) * has_image + (TEXT_WIDTH + GAP) * has_text
    columns = max(len(query.results) for query in queries)
    top = MARGIN + (0.35 if title else 0.0)
    row_height = BAND + height + 0.22
    results_left = MARGIN + query_width + 2 * GAP
    figure = new_figure(
        results_left + columns * (IMAGE_WIDTH + GAP) + MARGIN,
        top + len(queries) * row_height + MARGIN / 2,
    )
    if title:
        _write(figure, MARGIN, MARGIN, title, size=12, weight="bold")
    for number, query in enumerate(queries):
        row_top = top + number * row_height
        _write(figure, MARGIN, row_top + 0.06, query.title, size=8, weight="bold")
        _draw_query(figure, query, row_top + BAND, height)
        for rank, result in enumerate(query.results):
            left = results_left + rank * (IMAGE_WIDTH + GAP)
            _write(figure, left, row_top + 0.08, str(rank + 1), size=7, color=FAINT)
            _draw_result(figure, result, left, row_top + BAND, height)
    return figure


def _draw_query(figure: Figure, query: RankedQuery, top: float, height: float) -> None:
    left = MARGIN
    if query.image is not None:
        axes = place(figure, left, top, IMAGE_WIDTH, height)
        show_image(axes, query.image)
        _frame(axes, INK, 1.5)
        left += IMAGE_WIDTH + GAP
    if query.caption is not None:
        axes = place(figure, left, top, TEXT_WIDTH, height)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.add_patch(Rectangle((0, 0), 1, 1, facecolor="#f3f1ec", edgecolor="none"))
        text, size = fit_text(query.caption, TEXT_WIDTH - 0.16, height - 0.14)
        axes.text(
            0.08 / TEXT_WIDTH,
            1 - 0.07 / height,
            text,
            fontsize=size,
            style="italic",
            color=INK,
            va="top",
            linespacing=1.25,
        )


def _draw_result(
    figure: Figure, result: RankedResult, left: float, top: float, height: float
) -> None:
    axes = place(figure, left, top, IMAGE_WIDTH, height)
    show_image(axes, result.image)
    if result.is_match is None:
        _frame(axes, FAINT, 1)
    else:
        _mark(axes, result.is_match)
    _write(figure, left, top + height + 0.05, result.note, size=6, color=FAINT)


def _mark(axes: Axes, is_match: bool) -> None:
    color, mark = (RIGHT, "\u2713") if is_match else (WRONG, "\u2717")
    _frame(axes, color, 3)
    # the mark says it without colour, too
    axes.text(
        0.88,
        0.06,
        mark,
        fontsize=8,
        weight="bold",
        color="white",
        ha="center",
        va="center",
        bbox={"boxstyle": "circle,pad=0.15", "facecolor": color, "edgecolor": "white"},
    )


def fit_text(text: str, width: float, height: float) -> Tuple[str, float]:
    """The text in lines, and the greatest font size in points at which it fits into a box in inches."""
    for size in (9.0, 8.5, 8.0, 7.5, 7.0, 6.5, 6.0, 5.5, 5.0):
        # a letter of DejaVu Sans is about 0.56 of its size wide in the mean
        letters = max(8, int(width * 72 / (0.56 * size)))
        lines = textwrap.wrap(text, letters) or [""]
        most = max(1, int(height * 72 / (1.45 * size)))
        if len(lines) <= most:
            return "\n".join(lines), size
    lines = textwrap.wrap(text, letters, max_lines=most, placeholder=" \u2026")
    return "\n".join(lines), size


def _frame(axes: Axes, color: str, width: float) -> None:
    axes.add_patch(
        Rectangle(
            (0, 0), 1, 1, fill=False, edgecolor=color, linewidth=width, clip_on=False
        )
    )


def _write(
    figure: Figure,
    left: float,
    top: float,
    text: str,
    *,
    size: float,
    color: str = INK,
    weight: str = "normal",
) -> None:
    width, height = figure.get_size_inches()
    figure.text(
        left / width,
        1 - top / height,
        text,
        fontsize=size,
        color=color,
        weight=weight,
        va="top",
    )
