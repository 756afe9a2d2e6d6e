# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import tempfile
from pathlib import Path
from typing import Union

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

RIGHT = "#1a9850"
WRONG = "#d73027"
INK = "#222222"
FAINT = "#8a8a8a"
# one colour a curve, told apart by people who see no red or no green (Okabe and Ito)
CURVES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
DPI = 160


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, which needs neither a screen nor pyplot's global state."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def to_pixels(image: Tensor) -> np.ndarray:
    """An image ``(3, h, w)``, uint8 or floating in 0..1, as ``(h, w, 3)`` for matplotlib.

    Raises:
        ValueError: If the shape or the type is another.
    """
    if image.dim() != 3 or image.shape[0] != 3:
        raise ValueError(f"image must have shape (3, h, w), got {tuple(image.shape)}")
    pixels = image.detach().cpu().permute(1, 2, 0)
    if image.dtype == torch.uint8:
        return pixels.numpy()
    if not image.is_floating_point():
        raise ValueError(f"image must be uint8 or floating, got {image.dtype}")
    return pixels.float().clamp(0, 1).numpy()


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes without ticks or frame at a place in inches from the upper left corner."""
    total_width, total_height = figure.get_size_inches()
    axes = figure.add_axes(
        (
            left / total_width,
            1 - (top + height) / total_height,
            width / total_width,
            height / total_height,
        )
    )
    axes.set_axis_off()
    return axes


def show_image(axes: Axes, image: Tensor) -> None:
    """Draws an image to the edges of the axes."""
    pixels = to_pixels(image)
    axes.imshow(pixels, aspect="auto", interpolation="lanczos", extent=(0, 1, 0, 1))


def save_figure(figure: Figure, path: Union[str, "os.PathLike[str]"]) -> Path:
    """Writes the figure, in the format that the name ends in, whole or not at all; folders are made."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=target.suffix)
    os.close(handle)
    try:
        figure.savefig(temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return target
