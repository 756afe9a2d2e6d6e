# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math
from typing import Optional, Sequence

from matplotlib.figure import Figure
from torch import Tensor
from torchmultimodal_reid.evaluation.figures.canvas import (
    FAINT,
    INK,
    new_figure,
    place,
    show_image,
)
from torchmultimodal_reid.evaluation.figures.ranked_list import fit_text

# inches
IMAGE_WIDTH = 0.78
TEXT_WIDTH = 2.3
GAP = 0.14
MARGIN = 0.2
HEADING = 0.4


def draw_captions(
    images: Sequence[Tensor],
    captions: Sequence[str],
    *,
    references: Optional[Sequence[str]] = None,
    columns: int = 4,
    title: Optional[str] = None,
) -> Figure:
    """Images, each with the caption that a model wrote beside it and, fainter, one that a person would expect.

    Args:
        images (Sequence[Tensor]): Each of shape ``(3, h, w)``, uint8 or floating in 0..1.
        captions (Sequence[str]): One each.
        references (Optional[Sequence[str]]): One each, as the data set has it. Default: ``None``
        columns (int): Images side by side. Default: 4
        title (Optional[str]): Heading. Default: ``None``

    Returns:
        Figure: To be saved with :func:`~torchmultimodal_reid.evaluation.figures.canvas.save_figure`.

    Raises:
        ValueError: If there is no image, or not one caption each.
    """
    given = captions if references is None else references
    if not images or not len(images) == len(captions) == len(given):
        raise ValueError(
            f"each of at least one image needs a caption, got {len(images)} images, {len(captions)} captions and "
            f"{len(given)} references"
        )
    columns = min(columns, len(images))
    height = IMAGE_WIDTH * images[0].shape[1] / images[0].shape[2]
    cell = IMAGE_WIDTH + GAP + TEXT_WIDTH + GAP
    top = MARGIN + (HEADING if title else 0.0)
    rows = math.ceil(len(images) / columns)
    figure = new_figure(
        2 * MARGIN + columns * cell - GAP, top + rows * (height + GAP) + MARGIN
    )
    if title:
        heading = place(figure, MARGIN, MARGIN / 2, columns * cell, HEADING)
        heading.text(0, 0.5, title, fontsize=11, color=INK, va="center")
    share = 1.0 if references is None else 0.55
    for number, image in enumerate(images):
        left = MARGIN + number % columns * cell
        upper = top + number // columns * (height + GAP)
        show_image(place(figure, left, upper, IMAGE_WIDTH, height), image)
        left += IMAGE_WIDTH + GAP
        _write(figure, left, upper, height * share, captions[number], INK)
        if references is not None:
            below = upper + height * share
            _write(figure, left, below, height * (1 - share), references[number], FAINT)
    return figure


def _write(
    figure: Figure, left: float, top: float, height: float, text: str, color: str
) -> None:
    axes = place(figure, left, top, TEXT_WIDTH, height)
    fitted, size = fit_text(text, TEXT_WIDTH, height)
    # a caption is text, not a formula
    axes.text(0, 1, fitted, fontsize=size, color=color, va="top", parse_math=False)
