# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""A clothed body as a list of swept ellipsoids, in metres.

The body's own frame: x points to the person's left, y up, z forward. The feet are on the ground, y = 0.
"""

import math
from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

# surfaces; a pixel of the rendered person belongs to exactly one
SKIN, HAIR, UPPER, LOWER, SHOES, HAT, BAG, GLASSES, PATTERN, FACE, INNER, SOLE, BELT = (
    range(13)
)
SURFACES = (
    "skin",
    "hair",
    "upper",
    "lower",
    "shoes",
    "hat",
    "bag",
    "glasses",
    "pattern",
    "face",
    "inner",
    "sole",
    "belt",
)

# regions, which say how a surface is painted (decals and patterns)
LIMB, TORSO, HEAD, SKIRT = range(4)

Vector = Tuple[float, float, float]
Point = Union[Sequence[float], np.ndarray]
ROUND: Vector = (1.0, 1.0, 1.0)


class Part(NamedTuple):
    """An ellipsoid swept along a segment while its size changes linearly.

    Args:
        start (numpy.ndarray): Centre at the beginning, shape ``(3,)``.
        end (numpy.ndarray): Centre at the end, shape ``(3,)``.
        start_radius (float): Radius at the beginning, in metres.
        end_radius (float): Radius at the end.
        axes (numpy.ndarray): Maps the unit sphere to the ellipsoid of radius 1, shape ``(3, 3)``.
        surface (int): What it is made of.
        region (int): How it is painted.
    """

    start: np.ndarray
    end: np.ndarray
    start_radius: float
    end_radius: float
    axes: np.ndarray
    surface: int
    region: int


class Pose(NamedTuple):
    """What the person does in one shot.

    Args:
        yaw (float): Where the person faces: 0 to the camera, pi / 2 to the right side of the picture.
        phase (float): Walking phase in radians.
        stride (float): How far the legs swing: 0 stands still.
        bag_side (int): 1: the bag is on the person's left, -1: on the right.
        gesture (int): 0: arms swing, 1: one hand is raised (a phone), 2: hands in the pockets.
    """

    yaw: float
    phase: float
    stride: float
    bag_side: int
    gesture: int


class Joints(NamedTuple):
    """Heights and half widths that all garments are hung on, in metres."""

    hip: float
    waist: float
    chest: float
    shoulder: float
    neck: float
    head: float
    hip_half: float
    shoulder_half: float
    head_radius: float
    size: float


class PartList:
    """Collects the parts of a figure."""

    def __init__(self) -> None:
        self.parts: List[Part] = []

    def add(
        self,
        start: Point,
        end: Point,
        radii: Tuple[float, float],
        surface: int,
        *,
        scales: Vector = ROUND,
        turn: Optional[np.ndarray] = None,
        region: int = LIMB,
    ) -> None:
        """Adds the sweep of the ellipsoid with half axes ``scales``, turned by ``turn``, from start to end."""
        axes = np.diag(scales) if turn is None else turn @ np.diag(scales)
        self.parts.append(
            Part(
                np.asarray(start, dtype=np.float64),
                np.asarray(end, dtype=np.float64),
                radii[0],
                radii[1],
                axes,
                surface,
                region,
            )
        )


def turn_x(angle: float) -> np.ndarray:
    """Rotation about the lateral axis; a positive angle tilts what is up towards the front."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def turn_y(angle: float) -> np.ndarray:
    """Rotation about the vertical axis; a positive angle turns the front towards the person's left."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def dyes_table(dyes: Mapping[str, np.ndarray]) -> np.ndarray:
    """Linear colors of all surfaces, shape ``(len(SURFACES), 3)``."""
    return np.stack([dyes[name] for name in SURFACES]).astype(np.float32) ** 2
