# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What is behind the person: one procedural panorama for each camera."""

import math
from typing import NamedTuple, Tuple

import numpy as np
from torchmultimodal_reid.data.synthetic.camera import Camera
from torchmultimodal_reid.data.synthetic.randomness import draws, SCENE

_DEGREE = math.pi / 180
_PIXELS = 11  # of the panorama, per degree
_HALF_WIDTH = 26 * _DEGREE
_TOP, _BOTTOM = 14 * _DEGREE, -62 * _DEGREE


class Scene(NamedTuple):
    """The static surroundings of a camera.

    Args:
        panorama (numpy.ndarray): Linear color by (elevation, azimuth), float32 of shape ``(rows, columns, 3)``.
    """

    panorama: np.ndarray

    def crop(self, azimuths: np.ndarray, elevations: np.ndarray) -> np.ndarray:
        """Samples the panorama bilinearly.

        Args:
            azimuths (numpy.ndarray): Of the columns, in radians, shape ``(w,)``.
            elevations (numpy.ndarray): Of the rows, in radians, shape ``(h,)``.

        Returns:
            numpy.ndarray: float32 of shape ``(h, w, 3)``.
        """
        rows = (_TOP - elevations) / _DEGREE * _PIXELS
        columns = (azimuths + _HALF_WIDTH) / _DEGREE * _PIXELS
        lines = _interpolate(self.panorama, rows, 0)
        return _interpolate(lines, columns, 1)


def _interpolate(image: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    at = np.clip(at, 0, image.shape[axis] - 1.001)
    low = at.astype(np.int64)
    share = (at - low).astype(np.float32)
    share = share[:, None, None] if axis == 0 else share[None, :, None]
    first = np.take(image, low, axis=axis)
    return first + share * (np.take(image, low + 1, axis=axis) - first)


def scene_of(domain: int, number: int, camera: Camera) -> Scene:
    """Paints the surroundings of camera ``number``, a function of the domain and the number alone."""
    rng = draws(SCENE, domain, number)
    style = draws(SCENE, domain)  # shared by the cameras of a domain
    columns = int(2 * _HALF_WIDTH / _DEGREE * _PIXELS)
    rows = int((_TOP - _BOTTOM) / _DEGREE * _PIXELS)
    azimuth = np.linspace(-_HALF_WIDTH, _HALF_WIDTH, columns)[None, :]
    elevation = np.linspace(_TOP, _BOTTOM, rows)[:, None]
    texture = _noise_tile(rng)
    wall = camera.far * rng.uniform(1.15, 2.2)
    ground_distance = camera.height / np.maximum(np.tan(-elevation), 1e-3)
    on_ground = ground_distance * np.ones_like(azimuth) < wall / np.cos(azimuth)
    across, away = ground_distance * np.sin(azimuth), ground_distance * np.cos(azimuth)
    kind = str(style.choice(["pavement", "tiles", "grass", "asphalt"]))
    if rng.random() < 0.5:
        kind = str(rng.choice(["pavement", "tiles", "grass", "asphalt", "zebra"]))
    image = _ground(kind, across, away, texture, rng)
    wall_x = wall * np.tan(azimuth)
    wall_y = camera.height + wall / np.cos(azimuth) * np.tan(elevation)
    upright = _wall(wall_x, wall_y, texture, style, rng)
    image = np.where(on_ground[..., None], image, upright)
    _furnish(image, camera, wall, azimuth, elevation, texture, rng)
    return Scene(np.clip(image, 0.004, 1).astype(np.float32) ** 2)


def _noise_tile(rng: np.random.Generator, size: int = 256) -> np.ndarray:
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


def _sample(
    texture: np.ndarray, x: np.ndarray, y: np.ndarray, period: float
) -> np.ndarray:
    size = texture.shape[0]
    rows = (np.floor(y / period * size).astype(np.int64)) % size
    columns = (np.floor(x / period * size).astype(np.int64)) % size
    return texture[rows, columns]


def _tone(
    rng: np.random.Generator, low: float, high: float, color: float
) -> np.ndarray:
    return np.clip(
        rng.uniform(low, high) * (1 + rng.normal(0, 1, size=3).clip(-1.6, 1.6) * color),
        0.03,
        0.95,
    )


def _ground(
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
    grain = (
        0.75 + 0.35 * _sample(texture, u, v, 6.0) + 0.15 * _sample(texture, v, u, 1.1)
    )
    if kind == "grass":
        base = np.array([0.30, 0.42, 0.18]) * rng.uniform(0.8, 1.25)
        return base * (0.6 * grain + 0.5 * _sample(texture, u, v, 1.7))[..., None]
    base = _tone(rng, 0.3, 0.68, 0.06)
    if kind == "asphalt":
        return _tone(rng, 0.25, 0.42, 0.03) * grain[..., None]
    if kind == "zebra":
        stripes = (v / rng.uniform(0.9, 1.4)) % 1.0 < 0.5
        return (
            np.where(stripes[..., None], 0.8, _tone(rng, 0.25, 0.4, 0.03))
            * grain[..., None]
        )
    size = rng.uniform(0.35, 1.3)
    rows, columns = np.floor(v / size), np.floor(
        u / size + 0.5 * (np.floor(v / size) % 2) * (kind == "pavement")
    )
    per_tile = _sample(texture, columns * 3.7, rows * 5.3, 61.0)
    gap = (
        np.minimum(
            (u / size + 0.5 * (rows % 2) * (kind == "pavement")) % 1.0, (v / size) % 1.0
        )
        < 0.06
    )
    shade = grain * (0.85 + 0.3 * per_tile)
    return base * np.where(gap, 0.7, shade)[..., None]


def _wall(
    x: np.ndarray,
    y: np.ndarray,
    texture: np.ndarray,
    style: np.random.Generator,
    rng: np.random.Generator,
) -> np.ndarray:
    x, y = np.broadcast_arrays(x, y)
    kinds = ["bricks", "panels", "windows", "hedge", "plaster"]
    kind = str(style.choice(kinds)) if rng.random() < 0.4 else str(rng.choice(kinds))
    grain = 0.8 + 0.3 * _sample(texture, x, y, 7.0) + 0.1 * _sample(texture, y, x, 1.3)
    base = _tone(rng, 0.35, 0.75, 0.1)
    if kind == "hedge":
        leaves = _sample(texture, x, y, 2.1) * _sample(texture, y, x, 5.0)
        image = np.array([0.22, 0.36, 0.14]) * (0.3 + 1.5 * leaves)[..., None]
        return np.where(
            (y < 3.2 + 1.2 * _sample(texture, x, x * 0, 9.0))[..., None],
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
        other = _tone(rng, 0.25, 0.8, 0.15)
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
            * (0.5 + 0.9 * _sample(texture, x + y, y * 2, 4.0))[..., None]
        )
        image = np.where(pane[..., None], glass, image)
    foot = rng.uniform(0.1, 0.5)
    return np.where((y < foot)[..., None], image * 0.6, image)


def _furnish(
    image: np.ndarray,
    camera: Camera,
    wall: float,
    azimuth: np.ndarray,
    elevation: np.ndarray,
    texture: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Stands trunks, signs, cars and shop fronts behind the people."""
    for _ in range(int(rng.integers(3, 9))):
        distance = rng.uniform(min(camera.far * 1.02, wall * 0.9), wall)
        at = rng.uniform(-_HALF_WIDTH, _HALF_WIDTH)
        low = 0.0
        wide, high = _object_size(rng)
        color = _tone(rng, 0.12, 0.75, 0.15)
        foot = math.atan2(low - camera.height, distance)
        head = math.atan2(high - camera.height, distance)
        half = math.atan2(wide / 2, distance)
        rows = (elevation[:, 0] > foot) & (elevation[:, 0] < head)
        columns = np.abs(azimuth[0] - at) < half
        if not rows.any() or not columns.any():
            continue
        y, x = np.ix_(rows, columns)
        grain = 0.7 + 0.5 * _sample(
            texture,
            (azimuth[0, columns] * distance)[None, :],
            (elevation[rows, 0] * distance)[:, None],
            3.0,
        )
        # rounder to the sides
        side = 1 - 0.35 * ((azimuth[0, columns] - at) / half) ** 2
        image[y, x] = color * (grain * side[None, :])[..., None]


def _object_size(rng: np.random.Generator) -> Tuple[float, float]:
    kind = rng.integers(0, 4)
    if kind == 0:  # a post or trunk
        return rng.uniform(0.1, 0.5), rng.uniform(2.5, 6.0)
    if kind == 1:  # a car
        return rng.uniform(2.5, 4.5), rng.uniform(1.2, 1.8)
    if kind == 2:  # a bin or box
        return rng.uniform(0.5, 1.2), rng.uniform(0.7, 1.3)
    return rng.uniform(0.8, 2.2), rng.uniform(1.6, 3.0)  # a door or sign
