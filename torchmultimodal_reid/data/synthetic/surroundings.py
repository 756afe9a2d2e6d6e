# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Grounds and walls of a scene, as functions of the position in metres."""

import math

import numpy as np


def noise_tile(rng: np.random.Generator, size: int = 256) -> np.ndarray:
    """Fractal noise from 0 to 1 that repeats without a seam."""
    total = np.zeros((size, size))
    for octave, weight in ((8, 1.0), (16, 0.7), (32, 0.5), (64, 0.4), (128, 0.3)):
        coarse = rng.standard_normal((octave, octave))
        at = np.arange(size) * octave / size
        low = at.astype(int)
        share = at - low
        share = share * share * (3 - 2 * share)
        lines = (
            coarse[low % octave] * (1 - share)[:, None]
            + coarse[(low + 1) % octave] * share[:, None]
        )
        full = (
            lines[:, low % octave] * (1 - share) + lines[:, (low + 1) % octave] * share
        )
        total += weight * full
    low_value, high_value = np.percentile(total, [2, 98])
    return np.clip((total - low_value) / (high_value - low_value), 0, 1)


def sample(
    texture: np.ndarray, x: np.ndarray, y: np.ndarray, period: float
) -> np.ndarray:
    size = texture.shape[0]
    rows = (np.floor(y / period * size).astype(np.int64)) % size
    columns = (np.floor(x / period * size).astype(np.int64)) % size
    return texture[rows, columns]


def tone(rng: np.random.Generator, low: float, high: float, color: float) -> np.ndarray:
    return np.clip(
        rng.uniform(low, high) * (1 + rng.normal(0, 1, size=3).clip(-1.6, 1.6) * color),
        0.03,
        0.95,
    )


def paint_ground(
    kind: str,
    x: np.ndarray,
    y: np.ndarray,
    texture: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    x, y = np.broadcast_arrays(np.clip(x, -60, 60), np.clip(y, 0, 90))
    turn = rng.uniform(-0.8, 0.8)
    u, v = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(
        turn
    )
    grain = 0.75 + 0.35 * sample(texture, u, v, 6.0) + 0.15 * sample(texture, v, u, 1.1)
    if kind == "grass":
        base = np.array([0.30, 0.42, 0.18]) * rng.uniform(0.8, 1.25)
        return base * (0.6 * grain + 0.5 * sample(texture, u, v, 1.7))[..., None]
    base = tone(rng, 0.3, 0.68, 0.06)
    if kind == "asphalt":
        return tone(rng, 0.25, 0.42, 0.03) * grain[..., None]
    if kind == "zebra":
        stripes = (v / rng.uniform(0.9, 1.4)) % 1.0 < 0.5
        return (
            np.where(stripes[..., None], 0.8, tone(rng, 0.25, 0.4, 0.03))
            * grain[..., None]
        )
    size = rng.uniform(0.35, 1.3)
    rows, columns = np.floor(v / size), np.floor(
        u / size + 0.5 * (np.floor(v / size) % 2) * (kind == "pavement")
    )
    per_tile = sample(texture, columns * 3.7, rows * 5.3, 61.0)
    gap = (
        np.minimum(
            (u / size + 0.5 * (rows % 2) * (kind == "pavement")) % 1.0, (v / size) % 1.0
        )
        < 0.06
    )
    shade = grain * (0.85 + 0.3 * per_tile)
    return base * np.where(gap, 0.7, shade)[..., None]


def paint_wall(
    x: np.ndarray,
    y: np.ndarray,
    texture: np.ndarray,
    style: np.random.Generator,
    rng: np.random.Generator,
) -> np.ndarray:
    x, y = np.broadcast_arrays(x, y)
    kinds = ["bricks", "panels", "windows", "hedge", "plaster"]
    kind = str(style.choice(kinds)) if rng.random() < 0.4 else str(rng.choice(kinds))
    grain = 0.8 + 0.3 * sample(texture, x, y, 7.0) + 0.1 * sample(texture, y, x, 1.3)
    base = tone(rng, 0.35, 0.75, 0.1)
    if kind == "hedge":
        leaves = sample(texture, x, y, 2.1) * sample(texture, y, x, 5.0)
        image = np.array([0.22, 0.36, 0.14]) * (0.3 + 1.5 * leaves)[..., None]
        return np.where(
            (y < 3.2 + 1.2 * sample(texture, x, x * 0, 9.0))[..., None],
            image,
            np.array([0.72, 0.78, 0.85]),
        )
    if kind == "bricks":
        row = np.floor(y / 0.14)
        gap = ((y / 0.14) % 1.0 < 0.14) | ((x / 0.38 + 0.5 * (row % 2)) % 1.0 < 0.05)
        base = np.array([0.55, 0.33, 0.26]) * rng.uniform(0.7, 1.2)
        return np.where(gap[..., None], 0.6, base) * grain[..., None]
    image = base * grain[..., None]
    if kind == "panels":
        wide = rng.uniform(0.8, 2.5)
        other = tone(rng, 0.25, 0.8, 0.15)
        image = np.where(
            (np.floor(x / wide) % 2 == 0)[..., None], image, other * grain[..., None]
        )
        image = np.where(((x / wide) % 1.0 < 0.03)[..., None], 0.2, image)
    if kind == "windows":
        wide, high = rng.uniform(1.0, 2.4), rng.uniform(0.6, 1.0)
        pane = ((x / wide) % 1.0 < 0.7) & (y > high) & (y < 2.7) | (
            (x / wide) % 1.0 < 0.7
        ) & (y > 3.6) & (y < 5.4)
        glass = (
            np.array([0.26, 0.33, 0.40])
            * (0.5 + 0.9 * sample(texture, x + y, y * 2, 4.0))[..., None]
        )
        image = np.where(pane[..., None], glass, image)
    foot = rng.uniform(0.1, 0.5)
    return np.where((y < foot)[..., None], image * 0.6, image)
