# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Mapping, Optional

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torchmultimodal_reid.evaluation.figures.canvas import (
    CURVES,
    FAINT,
    INK,
    new_figure,
)
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics


def draw_cmc(
    curves: Mapping[str, RankingMetrics],
    *,
    references: Optional[Mapping[str, RankingMetrics]] = None,
    max_rank: int = 20,
    title: Optional[str] = None,
) -> Figure:
    """Share of queries whose first right match is within a rank, against the rank.

    Args:
        curves (Mapping[str, RankingMetrics]): Results by name, drawn in colour.
        references (Optional[Mapping[str, RankingMetrics]]): What to read them against, such as chance, drawn dashed.
            Default: ``None``
        max_rank (int): Last rank. Default: 20
        title (Optional[str]): Heading. Default: ``None``

    Raises:
        ValueError: If there is no curve.
    """
    references = references or {}
    if not curves and not references:
        raise ValueError("curves must hold at least one result to draw")
    figure = new_figure(6.6, 4.0)
    axes = figure.add_axes((0.1, 0.13, 0.62, 0.76))
    shades = ("#555555", "#9a9a9a")
    for number, (name, metrics) in enumerate([*curves.items(), *references.items()]):
        share = metrics.cmc[:max_rank].numpy()
        is_reference = number >= len(curves)
        axes.plot(
            np.arange(1, len(share) + 1),
            share,
            label=f"{name}\nrank-1 {share[0]:.1%}",
            color=(
                shades[(number - len(curves)) % 2]
                if is_reference
                else CURVES[number % len(CURVES)]
            ),
            linestyle="--" if is_reference else "-",
            linewidth=1.4 if is_reference else 2.0,
            marker=None if is_reference else "o",
            markersize=3.5,
        )
    longest = max(len(m.cmc) for m in [*curves.values(), *references.values()])
    last = min(max_rank, longest)
    axes.set(xlim=(0.5, last + 0.5), ylim=(0, 1.02))
    axes.set_xlabel("rank k", color=INK)
    axes.set_ylabel("queries with a right match by rank k", color=INK)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xticks([1, *range(5, last + 1, 5)])
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8)
    axes.legend(
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        frameon=False,
        fontsize=8,
        labelspacing=0.9,
    )
    if title:
        axes.set_title(title, loc="left", fontsize=11, weight="bold", color=INK)
    return figure
