# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Cameras: where they hang, what they do to colors, and what passes in front of them."""

import math
from typing import NamedTuple, Tuple

import numpy as np
from torchmultimodal_reid.data.synthetic.randomness import CAMERA, DOMAIN, draws
from torchmultimodal_reid.data.synthetic.weather import HOURS, WEATHERS


class Camera(NamedTuple):
    """One surveillance camera of a domain.

    Args:
        height (float): Above the ground, in metres.
        near (float): Distance of the nearest person, in metres.
        far (float): Distance of the farthest person.
        heading (float): The way most people walk: 0 towards the camera, pi / 2 to the right of the picture.
        spread (float): Standard deviation of that, in radians.
        both_ways (float): Share of people who walk the other way.
        sun (float): Azimuth of the key light.
        weather (str): The usual weather.
        hour (str): The usual illumination.
        steady (float): Share of shots with the usual weather and illumination.
        gain (Tuple[float, float, float]): Color cast, a factor for each channel.
        contrast (float): Of the picture, 1 is neutral.
        saturation (float): Of the picture, 1 is neutral.
        blur (float): Standard deviation in pixels of a picture 128 high.
        noise (float): Standard deviation, pixels from 0 to 1.
        quality (int): Of the JPEG files.
        occluders (float): Share of shots with something in front of the person.
        jitter (float): How inexact the detector's boxes are.
        crowd (float): Share of shots with somebody else in the picture.
    """

    height: float
    near: float
    far: float
    heading: float
    spread: float
    both_ways: float
    sun: float
    weather: str
    hour: str
    steady: float
    gain: Tuple[float, float, float]
    contrast: float
    saturation: float
    blur: float
    noise: float
    quality: int
    occluders: float
    jitter: float
    crowd: float


class Place(NamedTuple):
    """What the cameras of one domain have in common."""

    height: float
    distance: float
    cast: Tuple[float, float, float]
    noise: float
    blur: float
    occluders: float
    jitter: float
    contrast: float
    dark: float
    harsh: float
    crowd: float


def place_of(domain: int) -> Place:
    """The place that a domain is, a function of its number alone."""
    rng = draws(DOMAIN, domain, 2)
    warm, green = rng.normal(0, 0.07), rng.normal(0, 0.03)
    return Place(
        height=float(rng.uniform(1.9, 4.6)),
        distance=float(rng.uniform(5.0, 10.0)),
        cast=(1 + warm, 1 + green, 1 - warm),
        noise=float(rng.uniform(0.006, 0.03)),
        blur=float(rng.uniform(0.1, 0.7)),
        occluders=float(rng.uniform(0.08, 0.3)),
        jitter=float(rng.uniform(0.02, 0.06)),
        contrast=float(rng.uniform(0.85, 1.15)),
        dark=float(rng.uniform(0.0, 0.4)),
        harsh=float(rng.uniform(0.0, 0.4)),
        crowd=float(rng.uniform(0.03, 0.2)),
    )


def camera_of(domain: int, number: int) -> Camera:
    """Camera ``number`` of a domain, counted from 0, a function of the two alone."""
    place, rng = place_of(domain), draws(CAMERA, domain, number)
    near = place.distance * rng.uniform(0.65, 1.0)
    cast = np.asarray(place.cast) * (1 + rng.normal(0, 0.07, size=3))
    cast /= cast.mean()
    bright_hours = ["forenoon", "noon", "afternoon"]
    dark_hours = ["midnight", "dawn", "dusk", "night"]
    clear, rough = ["sunny", "clouds", "neutral", "overcast"], [
        "foggy",
        "blizzard",
        "snowlight",
    ]
    hours = dark_hours if rng.random() < place.dark else bright_hours
    weathers = rough if rng.random() < place.harsh else clear
    return Camera(
        height=float(place.height * rng.uniform(0.75, 1.3)),
        near=float(near),
        far=float(near * rng.uniform(1.3, 1.9)),
        heading=float(rng.uniform(-math.pi, math.pi)),
        spread=float(rng.uniform(0.25, 0.6)),
        both_ways=float(rng.uniform(0.15, 0.5)),
        sun=float(rng.uniform(-2.4, 2.4)),
        weather=str(rng.choice(weathers)),
        hour=str(rng.choice(hours)),
        steady=float(rng.uniform(0.55, 0.85)),
        gain=(float(cast[0]), float(cast[1]), float(cast[2])),
        contrast=float(place.contrast * rng.uniform(0.88, 1.12)),
        saturation=float(rng.uniform(0.72, 1.15)),
        blur=float(place.blur * rng.uniform(0.4, 1.6)),
        noise=float(place.noise * rng.uniform(0.5, 1.6)),
        quality=int(rng.integers(72, 95)),
        occluders=float(place.occluders * rng.uniform(0.4, 1.6)),
        jitter=float(place.jitter * rng.uniform(0.7, 1.4)),
        crowd=float(place.crowd * rng.uniform(0.5, 1.5)),
    )


def develop(
    image: np.ndarray, camera: Camera, weather: str, hour: str, rng: np.random.Generator
) -> np.ndarray:
    """Turns linear light into the camera's picture: haze, exposure, cast, tone, blur, snow and noise.

    Args:
        image (numpy.ndarray): Linear light, float32 of shape ``(h, w, 3)``. It is overwritten.
        camera (Camera): The camera.
        weather (str): One of ``WEATHERS``.
        hour (str): One of ``HOURS``.
        rng (numpy.random.Generator): Draws the noise.

    Returns:
        numpy.ndarray: uint8 of shape ``(h, w, 3)``.
    """
    w, scale = WEATHERS[weather], image.shape[0] / 128
    if w.haze:
        image *= np.float32(1 - w.haze)
        image += np.float32(w.haze) * np.asarray(w.haze_color, dtype=np.float32) * 0.8
    image *= np.asarray(camera.gain, dtype=np.float32) ** 2
    image *= np.float32(_exposure(float(image.mean()), HOURS[hour].exposure))
    np.sqrt(image, out=image)  # a display gamma of 2
    gray = image.mean(axis=2, keepdims=True)
    image -= gray
    image *= np.float32(camera.saturation * camera.contrast)
    image += (gray - np.float32(0.45)) * np.float32(camera.contrast) + np.float32(0.45)
    image = _blur(image, camera.blur * scale)
    if w.flakes:
        _snow(image, w.flakes, scale, rng)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    # a dark picture is amplified, and its noise with it
    image += noise * np.float32(camera.noise * (1 + 0.6 * (1 - HOURS[hour].exposure)))
    np.clip(image, 0, 1, out=image)
    return (image * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _exposure(mean: float, hour: float) -> float:
    # the automatic exposure evens out the larger part of the differences, but not all
    return 0.24 * hour**0.55 / max(mean, 1e-3) ** 0.7 / 0.24**0.3


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    if sigma < 0.2:
        return image
    side = np.float32(math.exp(-0.5 / sigma**2))
    side = side / (1 + 2 * side)
    if sigma > 1.0:  # three taps cannot be wider than this
        image = _blur(image, sigma * 0.75)
    for axis in (0, 1):
        out = image * (1 - 2 * side)
        if axis == 0:
            out[1:] += side * image[:-1]
            out[:-1] += side * image[1:]
            out[0] += side * image[0]
            out[-1] += side * image[-1]
        else:
            out[:, 1:] += side * image[:, :-1]
            out[:, :-1] += side * image[:, 1:]
            out[:, 0] += side * image[:, 0]
            out[:, -1] += side * image[:, -1]
        image = out
    return image


def _snow(
    image: np.ndarray, flakes: float, scale: float, rng: np.random.Generator
) -> None:
    height, width = image.shape[:2]
    count = int(flakes * height * width / scale**2)
    rows, columns = rng.integers(0, height, count), rng.integers(0, width, count)
    for dy in range(max(1, round(2 * scale))):
        for dx in range(max(1, round(scale))):
            y, x = np.minimum(rows + dy, height - 1), np.minimum(
                columns + dx, width - 1
            )
            image[y, x] += np.float32(0.6) * (np.float32(0.92) - image[y, x])
