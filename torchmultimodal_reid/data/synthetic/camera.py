# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Cameras and places: where they hang, what they do to colors, how often somebody or something is in the way."""

import math
from typing import NamedTuple, Tuple

import numpy as np
from torchmultimodal_reid.data.synthetic.randomness import CAMERA, DOMAIN, draws


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
