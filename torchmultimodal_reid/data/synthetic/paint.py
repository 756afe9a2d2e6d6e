# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Colors the pixels of a person: surfaces, patterns and the small things that are painted on."""

from typing import NamedTuple, Sequence

import numpy as np
from torchmultimodal_reid.data.synthetic.identity import Identity
from torchmultimodal_reid.data.synthetic.parts import (
    BAG,
    BELT,
    dyes_table,
    FACE,
    GLASSES,
    HAIR,
    HEAD,
    INNER,
    Joints,
    LOWER,
    Part,
    PATTERN,
    Pose,
    SKIN,
    SKIRT,
    TORSO,
    UPPER,
)
from torchmultimodal_reid.data.synthetic.raycast import Hits, Screen


class Light(NamedTuple):
    """The light on the person, linear.

    Args:
        direction (numpy.ndarray): Unit vector to the key light as (right, down, away), shape ``(3,)``.
        key (numpy.ndarray): Color of the key light, shape ``(3,)``.
        ambient (numpy.ndarray): Color of the light from everywhere, shape ``(3,)``.
    """

    direction: np.ndarray
    key: np.ndarray
    ambient: np.ndarray


class Paint(NamedTuple):
    """What the pixels of a person look like.

    Args:
        surface (numpy.ndarray): Surface of each pixel, shape ``(n,)``.
        color (numpy.ndarray): Linear color, lit, shape ``(n, 3)``.
    """

    surface: np.ndarray
    color: np.ndarray


def paint(
    hits: Hits,
    parts: Sequence[Part],
    joints: Joints,
    identity: Identity,
    pose: Pose,
    screen: Screen,
    light: Light,
) -> Paint:
    """Says which surface every pixel shows and how bright it is."""
    surface = np.array([p.surface for p in parts], dtype=np.int8)[hits.part]
    region = np.array([p.region for p in parts], dtype=np.int8)[hits.part]
    turn = screen.rotation.T.astype(np.float32)
    origin = np.append(
        screen.origin[:2] * screen.depth / screen.origin[2],
        screen.origin[2] - screen.depth,
    )
    body = turn @ (hits.point - origin[:, None].astype(np.float32))
    around = turn @ hits.offset
    _paint_torso(surface, region, body, around, joints, identity, pose)
    _paint_head(surface, region, around, joints, identity)
    _paint_pattern(surface, region, body, around, joints, identity)
    color = dyes_table(identity.dyes)[surface]
    color *= _shade(hits.normal, light)
    cloth = np.flatnonzero((surface == UPPER) | (surface == LOWER))
    color[cloth] *= _folds(body[:, cloth], identity.traits["pattern_phase"])[:, None]
    return Paint(surface, color)


def _folds(body: np.ndarray, phase: float) -> np.ndarray:
    """Soft slanting creases that move with the body."""
    x, y, z = body
    wave = np.sin(x * np.float32(19) + z * np.float32(13) + np.float32(6.3 * phase))
    return np.float32(1) + np.float32(0.085) * np.sin(
        y * np.float32(31) + x * np.float32(9) + wave * np.float32(2)
    )


def _shade(normal: np.ndarray, light: Light) -> np.ndarray:
    lit = light.direction.astype(np.float32) @ normal
    # half of a wrapped Lambert law keeps the dark side readable
    lit = np.maximum(lit * np.float32(0.8) + np.float32(0.2), 0)
    # less light from below, and less where the surface turns away from the eye: limbs stand out from the torso
    open_sky = (np.float32(0.82) - np.float32(0.18) * normal[1]) * (
        np.float32(0.62) - np.float32(0.38) * normal[2]
    )
    key, ambient = light.key.astype(np.float32), light.ambient.astype(np.float32)
    return lit[:, None] * key + open_sky[:, None] * ambient


def _paint_torso(
    surface: np.ndarray,
    region: np.ndarray,
    body: np.ndarray,
    around: np.ndarray,
    j: Joints,
    identity: Identity,
    pose: Pose,
) -> None:
    a, t = identity.attributes, identity.traits
    at = np.flatnonzero(((region == TORSO) | (region == SKIRT)) & (surface == UPPER))
    x, y, front = body[0, at], body[1, at], around[2, at] > 0
    size = j.size
    if a["upper_type"] in ("jacket", "coat", "hoodie") and t["opening"] > 0.45:
        wide = (0.012 + 0.035 * (t["opening"] - 0.45)) * size
        surface[at[front & (np.abs(x) < wide + 0.25 * np.maximum(y - j.chest, 0))]] = (
            INNER
        )
    elif a["upper_type"] in ("jacket", "coat", "shirt"):
        surface[at[front & (np.abs(x) < 0.004 * size)]] = BELT
    if a["sleeve"] != "long" or a["upper_type"] in ("t-shirt", "dress"):
        # the neckline
        low = (0.02 + 0.03 * t["collar"]) * size
        surface[
            at[
                front
                & (np.abs(x) < 0.05 * size)
                & (y > j.shoulder - low + np.abs(x) * 0.8)
            ]
        ] = SKIN
    if a["sleeve"] == "none":
        surface[at[(np.abs(x) > 0.075 * size) & (y > j.shoulder - 0.055 * size)]] = SKIN
    if a["upper_type"] == "dress" or t["belt"] > 0.6:
        surface[at[np.abs(y - j.waist) < 0.011 * size]] = (
            BELT if t["belt"] > 0.5 else UPPER
        )
    if a["pattern"] == "logo":
        half_x, half_y = (0.035 + 0.03 * t["logo_width"]) * size, (
            0.02 + 0.025 * t["logo_height"]
        ) * size
        middle = j.chest - 0.01 * size
        surface[at[front & (np.abs(x) < half_x) & (np.abs(y - middle) < half_y)]] = (
            PATTERN
        )
    if a["bag"] == "backpack":
        strap = np.abs(np.abs(x) - 0.058 * size) < 0.011 * size
        surface[at[front & strap & (y > j.waist + 0.04 * size)]] = BAG
    if a["bag"] == "shoulder bag":
        # from the far shoulder down to the bag, on the chest as on the back
        slope = (y - j.hip) / (j.shoulder - j.hip)
        line = pose.bag_side * (0.10 - 0.155 * slope) * size
        surface[at[np.abs(x - line) < 0.011 * size]] = BAG


def _paint_head(
    surface: np.ndarray,
    region: np.ndarray,
    around: np.ndarray,
    j: Joints,
    identity: Identity,
) -> None:
    at = np.flatnonzero(region == HEAD)
    x, y, z = around[:, at] / np.float32(j.head_radius)
    x = x / np.float32(0.76 * identity.traits["head_width"])
    face = z > 0.3
    surface[at[(z < -0.12) & (y > -0.55)]] = HAIR
    surface[at[(y > 0.62)]] = HAIR
    surface[
        at[face & (np.abs(np.abs(x) - 0.38) < 0.13) & (np.abs(y - 0.06) < 0.07)]
    ] = FACE
    surface[at[face & (np.abs(x) < 0.24) & (np.abs(y + 0.52) < 0.05)]] = FACE
    if identity.attributes["glasses"] == "glasses":
        lens = (z > 0.0) & (np.abs(np.abs(x) - 0.42) < 0.32) & (np.abs(y - 0.06) < 0.19)
        temple = (z > -0.2) & (np.abs(x) > 0.7) & (np.abs(y - 0.12) < 0.08)
        bridge = (z > 0.3) & (np.abs(x) < 0.2) & (np.abs(y - 0.1) < 0.06)
        surface[at[lens | temple | bridge]] = GLASSES


def _paint_pattern(
    surface: np.ndarray,
    region: np.ndarray,
    body: np.ndarray,
    around: np.ndarray,
    j: Joints,
    identity: Identity,
) -> None:
    a, t = identity.attributes, identity.traits
    if a["pattern"] not in ("striped", "chequered"):
        return
    at = np.flatnonzero(surface == UPPER)
    period = (0.055 + 0.05 * t["pattern_scale"]) * j.size
    rows = (body[1, at] / period + t["pattern_phase"]) % 1.0 < t["pattern_duty"]
    if a["pattern"] == "chequered":
        turn = np.arctan2(around[0, at], around[2, at]) * 0.1 * j.size
        rows ^= (turn / (period * 0.8) + t["pattern_phase"]) % 1.0 < 0.5
    surface[at[rows]] = PATTERN
