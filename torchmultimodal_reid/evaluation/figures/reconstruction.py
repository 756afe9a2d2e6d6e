# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchmultimodal_reid.evaluation.figures.canvas import (
    INK,
    new_figure,
    place,
    show_image,
)
from torchmultimodal_reid.evaluation.figures.ranked_list import fit_text

HIDDEN = 0.55  # grey of a masked patch
IMAGE_WIDTH = 0.95
GAP = 0.07
MARGIN = 0.15
LABEL_WIDTH = 1.05


def draw_reconstructions(
    original: Tensor,
    reconstruction: Tensor,
    masked_patches: Tensor,
    patch_size: int,
    *,
    captions: Optional[Sequence[str]] = None,
    title: Optional[str] = None,
) -> Figure:
    """Images as they are, as the model saw them, and as it completed them, one column an image.

    Patches that the model saw are shown as they are in the last row, too: what it was not asked for is no merit.

    Args:
        original (Tensor): Shape ``(b, 3, h, w)``, uint8 or floating in 0..1.
        reconstruction (Tensor): Predicted images of the same shape, floating in 0..1.
        masked_patches (Tensor): bool of shape ``(b, n)``, True where a patch was hidden.
        patch_size (int): Side of a patch in pixels.
        captions (Optional[Sequence[str]]): Text under each column. Default: ``None``
        title (Optional[str]): Heading. Default: ``None``

    Raises:
        ValueError: If the shapes do not fit.
    """
    is_hidden = _to_pixel_mask(original, reconstruction, masked_patches, patch_size)
    image = original.float() / 255 if original.dtype == torch.uint8 else original
    rows = (
        ("original", image),
        ("masked input", torch.where(is_hidden, HIDDEN, image)),
        ("reconstruction", torch.where(is_hidden, reconstruction.to(image), image)),
    )
    count = len(image)
    if captions is not None and len(captions) != count:
        raise ValueError(
            f"captions must have one entry for each of {count} images, got {len(captions)}"
        )
    height = IMAGE_WIDTH * image.shape[2] / image.shape[3]
    text_height = 1.0 if captions is not None else 0.0
    top = MARGIN + (0.35 if title else 0.0)
    figure = new_figure(
        MARGIN + LABEL_WIDTH + count * (IMAGE_WIDTH + GAP) + MARGIN,
        top + len(rows) * (height + GAP) + text_height + MARGIN,
    )
    width_inches, height_inches = figure.get_size_inches()
    if title:
        figure.text(
            MARGIN / width_inches,
            1 - MARGIN / height_inches,
            title,
            fontsize=11,
            weight="bold",
            color=INK,
            va="top",
        )
    for number, (name, images) in enumerate(rows):
        row_top = top + number * (height + GAP)
        label = place(figure, MARGIN, row_top, LABEL_WIDTH - GAP, height)
        label.text(1, 0.5, name, fontsize=8, color=INK, ha="right", va="center")
        for column in range(count):
            left = MARGIN + LABEL_WIDTH + column * (IMAGE_WIDTH + GAP)
            show_image(
                place(figure, left, row_top, IMAGE_WIDTH, height), images[column]
            )
    for column, caption in enumerate(captions or ()):
        left = MARGIN + LABEL_WIDTH + column * (IMAGE_WIDTH + GAP)
        bottom = top + len(rows) * (height + GAP)
        axes = place(figure, left, bottom, IMAGE_WIDTH, text_height)
        text, size = fit_text(caption, IMAGE_WIDTH, text_height)
        axes.text(0, 1, text, fontsize=min(size, 6), color=INK, va="top")
    return figure


def _to_pixel_mask(
    original: Tensor, reconstruction: Tensor, masked_patches: Tensor, patch_size: int
) -> Tensor:
    """The mask as bool of shape ``(b, 1, h, w)``."""
    if original.dim() != 4 or original.shape != reconstruction.shape:
        raise ValueError(
            "original and reconstruction must have one shape (b, 3, h, w), got "
            f"{tuple(original.shape)} and {tuple(reconstruction.shape)}"
        )
    count, _, height, width = original.shape
    rows, columns = height // patch_size, width // patch_size
    if (height % patch_size, width % patch_size) != (0, 0) or masked_patches.shape != (
        count,
        rows * columns,
    ):
        raise ValueError(
            f"masked_patches must have shape ({count}, {rows * columns}) for images of {height}x{width} pixels and "
            f"patches of {patch_size}, got {tuple(masked_patches.shape)}"
        )
    grid = masked_patches.reshape(count, 1, rows, columns)
    return grid.repeat_interleave(patch_size, 2).repeat_interleave(patch_size, 3)
