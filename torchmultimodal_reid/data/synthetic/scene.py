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
from torchmultimodal_reid.data.synthetic.surroundings import (
    noise_tile,
    paint_ground,
    paint_wall,
    sample,
    tone,
)

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
    texture = noise_tile(rng)
    wall = camera.far * rng.uniform(1.15, 2.2)
    ground_distance = camera.height / np.maximum(np.tan(-elevation), 1e-3)
    on_ground = ground_distance * np.ones_like(azimuth) < wall / np.cos(azimuth)
    across, away = ground_distance * np.sin(azimuth), ground_distance * np.cos(azimuth)
    kind = str(style.choice(["pavement", "tiles", "grass", "asphalt"]))
    if rng.random() < 0.5:
        kind = str(rng.choice(["pavement", "tiles", "grass", "asphalt", "zebra"]))
    image = paint_ground(kind, across, away, texture, rng)
    wall_x = wall * np.tan(azimuth)
    wall_y = camera.height + wall / np.cos(azimuth) * np.tan(elevation)
    upright = paint_wall(wall_x, wall_y, texture, style, rng)
    image = np.where(on_ground[..., None], image, upright)
    _furnish(image, camera, wall, azimuth, elevation, texture, rng)
    return Scene(np.clip(image, 0.004, 1).astype(np.float32) ** 2)


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
        color = tone(rng, 0.12, 0.75, 0.15)
        foot = math.atan2(low - camera.height, distance)
        head = math.atan2(high - camera.height, distance)
        half = math.atan2(wide / 2, distance)
        rows = (elevation[:, 0] > foot) & (elevation[:, 0] < head)
        columns = np.abs(azimuth[0] - at) < half
        if not rows.any() or not columns.any():
            continue
        y, x = np.ix_(rows, columns)
        grain = 0.7 + 0.5 * sample(
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
