# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The seven weathers and seven illuminations of FineGPR, as levels of light."""

import math
from typing import Mapping, NamedTuple, Tuple

import numpy as np
from torchmultimodal_reid.data.synthetic.paint import Light

RGB = Tuple[float, float, float]


class Weather(NamedTuple):
    """Strength of the key and of the ambient light, share of haze and its color, flakes of snow per pixel."""

    key: float
    ambient: float
    haze: float
    haze_color: RGB
    flakes: float


class Hour(NamedTuple):
    """Brightness, color of the light, and height of the key light in radians."""

    exposure: float
    tint: RGB
    height: float


WEATHERS: Mapping[str, Weather] = {
    "sunny": Weather(0.95, 0.42, 0.0, (0.7, 0.75, 0.8), 0.0),
    "clouds": Weather(0.62, 0.60, 0.0, (0.7, 0.72, 0.75), 0.0),
    "overcast": Weather(0.32, 0.80, 0.03, (0.6, 0.62, 0.65), 0.0),
    "foggy": Weather(0.25, 0.75, 0.30, (0.62, 0.64, 0.66), 0.0),
    "neutral": Weather(0.50, 0.68, 0.0, (0.7, 0.7, 0.7), 0.0),
    "blizzard": Weather(0.28, 0.78, 0.22, (0.75, 0.78, 0.82), 0.02),
    "snowlight": Weather(0.50, 0.82, 0.06, (0.8, 0.83, 0.88), 0.006),
}
HOURS: Mapping[str, Hour] = {
    "midnight": Hour(0.30, (0.82, 0.92, 1.20), 1.2),
    "dawn": Hour(0.65, (1.12, 0.95, 0.90), 0.35),
    "forenoon": Hour(0.95, (1.03, 1.00, 0.95), 0.8),
    "noon": Hour(1.10, (1.00, 1.00, 0.98), 1.25),
    "afternoon": Hour(0.95, (1.06, 1.00, 0.91), 0.75),
    "dusk": Hour(0.60, (1.18, 0.94, 0.80), 0.3),
    "night": Hour(0.40, (1.16, 1.00, 0.76), 1.1),
}


def light_of(weather: str, hour: str, azimuth: float, tilt: float) -> Light:
    """The light on a person.

    Args:
        weather (str): One of ``WEATHERS``.
        hour (str): One of ``HOURS``.
        azimuth (float): Where the key light comes from: 0 from the camera, pi / 2 from the right of the picture.
        tilt (float): How far the camera looks down, in radians.

    Returns:
        Light: Its direction in the frame of the picture.
    """
    w, h = WEATHERS[weather], HOURS[hour]
    flat = math.cos(h.height)
    world = (flat * math.sin(azimuth), math.sin(h.height), flat * math.cos(azimuth))
    direction = camera_rotation(tilt) @ np.array(world)
    tint = np.asarray(h.tint)
    # the light from everywhere is bluer than the key
    sky = tint * np.array([0.96, 1.0, 1.05])
    return Light(direction, w.key * tint, w.ambient * sky)


def camera_rotation(tilt: float) -> np.ndarray:
    """World (right, up, to the camera) -> picture (right, down, away) for a camera that looks down by ``tilt``."""
    c, s = math.cos(tilt), math.sin(tilt)
    return np.array([[1, 0, 0], [0, -c, s], [0, -s, -c]])
