# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What is particular to one picture: pose, place, weather, and the detector's errors."""

import math
from typing import NamedTuple, Optional, Tuple

import numpy as np
from torchmultimodal_reid.data.synthetic.camera import Camera
from torchmultimodal_reid.data.synthetic.parts import Pose
from torchmultimodal_reid.data.synthetic.weather import HOURS, WEATHERS

BYSTANDERS = 60  # how many there are


class Beside(NamedTuple):
    """Somebody who happens to be in the picture.

    Args:
        number (int): Which bystander.
        pose (Pose): What the bystander does.
        across (float): To the right of the person, in metres.
        behind (float): Farther from the camera than the person, in metres.
    """

    number: int
    pose: Pose
    across: float
    behind: float


class Shot(NamedTuple):
    """What is particular to one picture.

    Args:
        pose (Pose): What the person does.
        weather (str): One of ``WEATHERS``.
        hour (str): One of ``HOURS``.
        distance (float): From the camera, on the ground, in metres.
        azimuth (float): Of the person in the camera's field, in radians.
        box (Tuple[float, float, float, float]): Errors of the detector's box: shifts and factors (x, y, width, height).
        occluded (bool): Whether something stands in front.
        beside (Optional[Beside]): Somebody else in the picture.
    """

    pose: Pose
    weather: str
    hour: str
    distance: float
    azimuth: float
    box: Tuple[float, float, float, float]
    occluded: bool
    beside: Optional[Beside] = None


def sample_shot(camera: Camera, rng: np.random.Generator) -> Shot:
    """Draws one shot of a camera."""
    pose = _sample_pose(camera, rng)
    usual = rng.random() < camera.steady
    weather = camera.weather if usual else str(rng.choice(list(WEATHERS)))
    hour = camera.hour if usual else str(rng.choice(list(HOURS)))
    j = camera.jitter
    errors = np.clip(rng.normal(0, 1, 4), -2, 2) * (0.6 * j, 0.6 * j, 1.5 * j, j)
    side = 1.0 if rng.random() < 0.5 else -1.0
    beside = Beside(
        number=int(rng.integers(BYSTANDERS)),
        pose=_sample_pose(camera, rng),
        across=side * float(rng.uniform(0.38, 0.7)),
        behind=float(
            rng.uniform(0.3, 1.8) if rng.random() < 0.7 else -rng.uniform(0.3, 0.6)
        ),
    )
    return Shot(
        pose=pose,
        weather=weather,
        hour=hour,
        distance=float(rng.uniform(camera.near, camera.far)),
        azimuth=float(rng.uniform(-0.36, 0.36)),
        box=(
            float(errors[0]),
            float(errors[1]),
            float(1 + errors[2]),
            float(1.03 + errors[3]),
        ),
        occluded=bool(rng.random() < camera.occluders),
        beside=beside if rng.random() < camera.crowd else None,
    )


def _sample_pose(camera: Camera, rng: np.random.Generator) -> Pose:
    if rng.random() < 0.25:
        yaw = rng.uniform(-math.pi, math.pi)
    else:
        back = math.pi if rng.random() < camera.both_ways else 0.0
        yaw = camera.heading + back + rng.normal(0, camera.spread)
    walking = rng.random() < 0.82
    return Pose(
        yaw=float((yaw + math.pi) % (2 * math.pi) - math.pi),
        phase=float(rng.uniform(0, 2 * math.pi)),
        stride=float(rng.uniform(0.6, 1.0) if walking else rng.uniform(0.0, 0.15)),
        bag_side=1 if rng.random() < 0.5 else -1,
        gesture=int(rng.choice([0, 1, 2], p=[0.78, 0.12, 0.10])),
    )
