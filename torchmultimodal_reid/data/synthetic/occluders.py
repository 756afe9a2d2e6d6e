# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Things that stand between the camera and the person."""

from typing import Tuple

import numpy as np


def draw_occluder(
    image: np.ndarray, light: np.ndarray, rng: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray]:
    """Draws one thing over the picture; it hides less than half of the person.

    Args:
        image (numpy.ndarray): Linear light, float32 of shape ``(h, w, 3)``. It is overwritten.
        light (numpy.ndarray): Color of the light on the thing, shape ``(3,)``.
        rng (numpy.random.Generator): Draws the thing.

    Returns:
        Tuple[numpy.ndarray, numpy.ndarray]: Rows and columns that are hidden, bool of shapes ``(h,)`` and ``(w,)``: a
            pixel is hidden where both are True.
    """
    height, width = image.shape[:2]
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    kind = int(rng.integers(0, 4))
    rows, columns = np.ones(height, dtype=bool), np.ones(width, dtype=bool)
    if kind == 0:  # a post
        wide, at = rng.uniform(0.08, 0.17), rng.uniform(0.1, 0.9)
        columns = np.abs(x - at) < wide / 2
        shape = 1 - 1.2 * ((x - at) / wide) ** 2
    elif kind == 1:  # a wall, a hedge or a car along the bottom
        rows = y > rng.uniform(0.68, 0.85)
        shape = np.ones(width)
    elif kind == 2:  # a bin or a bench end in a lower corner
        rows = y > rng.uniform(0.55, 0.78)
        edge = rng.uniform(0.3, 0.5)
        columns = x < edge if rng.random() < 0.5 else x > 1 - edge
        shape = np.ones(width)
    else:  # the edge of a door or of a truck at one side
        edge = rng.uniform(0.15, 0.33)
        columns = x < edge if rng.random() < 0.5 else x > 1 - edge
        shape = np.ones(width)
    color = rng.uniform(0.12, 0.7) * np.clip(1 + rng.normal(0, 0.13, 3), 0.6, 1.4)
    if kind in (1, 2) and rng.random() < 0.4:
        color = np.array([0.25, 0.38, 0.16]) * rng.uniform(0.7, 1.3)
        fine = rng.uniform(0.45, 1.25, size=(48, 24))  # leaves
        grain = fine[(y * 47.99).astype(int)][:, (x * 23.99).astype(int)]
    else:
        grain = _grain(y, x, rng)
    surface = color**2 * light * (shape[None, :] * grain)[..., None] * 0.8
    image[np.ix_(rows, columns)] = surface[np.ix_(rows, columns)].astype(np.float32)
    return rows, columns


def _grain(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness of the thing's surface: smooth metal or planks."""
    smooth = np.outer(1.1 - 0.25 * y, 1 + 0.1 * np.sin(9 * x + rng.uniform(0, 6)))
    if rng.random() < 0.5:
        smooth[(y * rng.uniform(8, 16)) % 1.0 < 0.12] *= 0.75
    return smooth
