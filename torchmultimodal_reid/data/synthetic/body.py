# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The body itself: measures, legs, torso and arms with the clothes on them."""

import math
from typing import Dict, Tuple

import numpy as np

from torchmultimodal_reid.data.synthetic.attributes import Identity
from torchmultimodal_reid.data.synthetic.parts import (
    Joints,
    LOWER,
    PartList,
    Pose,
    SHOES,
    SKIN,
    SOLE,
    TORSO,
    turn_x,
    turn_y,
    UPPER,
)

# thickness of the cloth, in metres
_CLOTH = {"t-shirt": 0.004, "shirt": 0.006, "sweater": 0.014, "hoodie": 0.02, "jacket": 0.022, "coat": 0.026, "dress": 0.004}
LEFT, RIGHT = 1, -1


def girth(identity: Identity) -> float:
    """How broad the person is compared to an average one."""
    return {"slim": 0.84, "average": 1.0, "heavy": 1.24}[identity.attributes["build"]]


def measure(identity: Identity) -> Joints:
    """The joints of an upright body."""
    t, size = identity.traits, identity.traits["stature"]
    female = identity.attributes["gender"] == "female"
    broad = girth(identity) ** 0.5
    hip = 0.515 * size * t["legs"]
    shoulder = hip + 0.3 * size
    radius = 0.069 * size * t["head"]
    return Joints(
        hip=hip,
        waist=hip + 0.095 * size,
        chest=hip + 0.205 * size,
        shoulder=shoulder,
        neck=shoulder + 0.035 * size,
        head=shoulder + 0.045 * size + radius * 1.05,
        hip_half=(0.056 if female else 0.049) * size * t["hips"] * broad,
        shoulder_half=(0.100 if female else 0.122) * size * t["shoulders"] * broad,
        head_radius=radius,
        size=size,
    )


def cloth(identity: Identity) -> float:
    """Thickness of the upper clothes, in metres."""
    return _CLOTH[identity.attributes["upper_type"]] + 0.012 * identity.traits["upper_loose"]


def add_legs(body: PartList, identity: Identity, j: Joints, pose: Pose) -> None:
    a, t, size = identity.attributes, identity.traits, j.size
    slack = {"jeans": 0.006, "trousers": 0.012, "shorts": 0.022}.get(a["lower_type"], 0.0)
    slack += 0.022 * t["lower_loose"] if slack else 0.0
    broad = girth(identity) ** 0.6 * t["limbs"]
    covered = a["lower_type"] in ("trousers", "jeans")
    leg = LOWER if covered else SKIN
    lift = 0.012 + 0.028 * t["sole"]
    thigh_length, shin_length = j.hip * 0.47, j.hip * 0.475 - lift
    for side in (LEFT, RIGHT):
        phase = pose.phase + (0.0 if side == LEFT else math.pi)
        swing = pose.stride * 0.42 * t["stride"] * math.sin(phase)
        bend = 0.06 + pose.stride * 0.75 * max(0.0, math.cos(phase)) ** 1.5
        hip = np.array([side * j.hip_half, j.hip, 0.0])
        knee = hip + thigh_length * np.array([0.0, -math.cos(swing), math.sin(swing)])
        ankle = knee + shin_length * np.array([0.0, -math.cos(swing - bend), math.sin(swing - bend)])
        thigh = (0.047 * size * broad + slack * 0.5, 0.030 * size * broad + slack)
        shin = (thigh[1], 0.020 * size * broad + slack * 1.1 if covered else 0.019 * size * broad)
        body.add(hip, knee, thigh, leg)
        if a["lower_type"] == "shorts":
            end = 0.66 + 0.34 * t["lower_hem"]
            hem = hip + (knee - hip) * end
            body.add(hip, hem, (thigh[0] + 0.006, thigh[1] + 0.012), LOWER)
        body.add(knee, ankle, shin, leg)
        if a["footwear"] == "boots":
            top = ankle + (knee - ankle) * (0.42 + 0.4 * t["boot_height"])
            body.add(top, ankle, (max(shin) + 0.008, shin[1] + 0.012), SHOES, scales=(1, 0.6, 1))
        _add_foot(body, identity, ankle, side, swing - bend, lift, size)


def _add_foot(body: PartList, identity: Identity, ankle: np.ndarray, side: int, tilt: float, lift: float, size: float) -> None:
    t = identity.traits
    # the heel lifts where the shin leans back
    turn = turn_y(side * t["toe_out"]) @ turn_x(min(0.0, tilt) * -0.8)
    long = 0.098 * size * t["shoe_size"]
    heel = ankle + turn @ np.array([0.0, -0.012, -0.022])
    toe = ankle + turn @ np.array([0.0, -0.030, long])
    body.add(heel, toe, (0.027 * size, 0.022 * size), SHOES, turn=turn, scales=(1.0, 0.85, 1.0))
    sole = turn @ np.array([0.0, -lift, 0.0])
    body.add(heel + sole, toe + sole, (0.028 * size, 0.024 * size), SOLE, turn=turn, scales=(1.0, 0.62, 1.0))


def add_torso(body: PartList, identity: Identity, j: Joints) -> None:
    a, t, size = identity.attributes, identity.traits, j.size
    female, wide = a["gender"] == "female", girth(identity)
    skin_gap = cloth(identity)
    hips = (0.103 if female else 0.092) * size * t["hips"] * wide**0.7 + 0.5 * skin_gap
    waist = (0.076 if female else 0.088) * size * t["waist"] * wide + skin_gap
    chest = (0.090 if female else 0.102) * size * wide**0.6 + skin_gap
    flat = (1.0, 0.45, 0.66)
    lower = UPPER if a["lower_type"] == "dress" else LOWER
    # the upper clothes end between the waist and the hips
    body.add((0, j.hip - 0.02 * size, 0), (0, j.waist, 0), (hips, waist), lower, scales=flat, region=TORSO)
    drop = {"jacket": 0.5, "hoodie": 0.7, "sweater": 0.7, "coat": 1.0}.get(a["upper_type"], 0.75 - t["upper_hem"])
    hem = j.waist - max(0.0, drop) * (j.waist - j.hip)
    share = (hem - j.hip) / (j.waist - j.hip)
    hem_width = hips + (waist - hips) * share + 0.006 + 0.3 * skin_gap
    body.add((0, hem, 0), (0, j.waist, 0), (hem_width, waist + 0.006), UPPER, scales=(1, 0.25, 0.68), region=TORSO)
    belly = 0.012 * size * max(0.0, wide - 0.9) * (1 + t["belly"])
    body.add((0, j.waist, belly), (0, j.chest, belly * 0.5), (waist + 0.006, chest), UPPER, scales=flat, region=TORSO)
    top = (0, j.shoulder - 0.028 * size, -0.005)
    body.add((0, j.chest, 0), top, (chest, chest * 0.82), UPPER, scales=(1.0, 0.5, 0.62), region=TORSO)
    if wide > 1.1:
        body.add((0, j.waist, 0.05 * size * wide), (0, j.waist + 0.03, 0.05 * size), (0.075 * size,) * 2, UPPER, region=TORSO)
    if female:
        for side in (LEFT, RIGHT):
            at = (side * 0.042 * size, j.chest + 0.012 * size, 0.047 * size)
            body.add(at, at, (0.038 * size * wide**0.5,) * 2, UPPER, region=TORSO)
    bone = 0.034 * size + skin_gap
    for side in (LEFT, RIGHT):
        joint = (side * (j.shoulder_half - 0.012), j.shoulder - 0.03 * size, 0)
        body.add((0, j.shoulder - 0.008 * size, 0), joint, (bone, bone * 0.95), UPPER, region=TORSO)
    body.add((0, j.shoulder - 0.01, 0), (0, j.head - 0.03, 0.012), (0.034 * size, 0.031 * size), SKIN)
    if a["upper_type"] in ("jacket", "coat", "shirt") or t["collar"] > 0.75:
        high = j.shoulder + (0.012 + 0.02 * t["collar"]) * size
        body.add((0, j.shoulder, 0), (0, high, 0.0), (0.048 * size, 0.041 * size), UPPER, scales=(1, 0.3, 1))
    if a["upper_type"] == "hoodie":
        at = (0, j.shoulder + 0.01 * size, -0.055 * size)
        body.add(at, at, (0.062 * size,) * 2, UPPER, scales=(1.1, 0.75, 0.7))


def add_arms(body: PartList, identity: Identity, j: Joints, pose: Pose) -> Dict[int, np.ndarray]:
    a, t, size = identity.attributes, identity.traits, j.size
    broad, thick = girth(identity) ** 0.5 * t["limbs"], cloth(identity)
    upper_length, fore_length = 0.172 * size * t["arms"], 0.150 * size * t["arms"]
    hands = {}
    for side in (LEFT, RIGHT):
        carries = a["bag"] == "handbag" and side == pose.bag_side
        forward, out, bend = _arm_angles(identity, pose, side, carries)
        shoulder = np.array([side * j.shoulder_half, j.shoulder - 0.034 * size, 0.0])
        elbow = shoulder + upper_length * _direction(forward, out * side)
        hand = elbow + fore_length * _direction(forward + bend, out * side * (0.4 if pose.gesture != 2 else -0.6))
        arm = (0.031 * size * broad, 0.026 * size * broad, 0.020 * size * broad)
        if a["sleeve"] == "long":
            body.add(shoulder, elbow, (arm[0] + thick, arm[1] + thick), UPPER)
            body.add(elbow, hand, (arm[1] + thick, arm[2] + thick), UPPER)
        else:
            body.add(shoulder, elbow, (arm[0], arm[1]), SKIN)
            body.add(elbow, hand, (arm[1], arm[2] * 0.9), SKIN)
            if a["sleeve"] == "short":
                end = shoulder + (elbow - shoulder) * (0.5 + 0.4 * t["sleeve_end"])
                body.add(shoulder, end, (arm[0] + thick + 0.004, arm[1] + thick + 0.014), UPPER)
        along = (hand - elbow) / fore_length
        tip = hand + along * 0.040 * size
        body.add(hand, tip, (0.019 * size, 0.021 * size), SKIN)
        hands[side] = tip
    return hands


def _arm_angles(identity: Identity, pose: Pose, side: int, carries: bool) -> Tuple[float, float, float]:
    t = identity.traits
    out = t["abduction"] + 0.08 * (girth(identity) - 0.84)
    if carries:
        return 0.05, out + 0.06, 0.08
    if pose.gesture == 1 and side == -pose.bag_side:
        return 0.45, out, 1.9
    if pose.gesture == 2:
        return -0.35, out + 0.15, 0.75
    # an arm swings against the leg of its own side
    phase = pose.phase + (math.pi if side == LEFT else 0.0)
    return pose.stride * 0.5 * t["swing"] * math.sin(phase), out, t["elbow"] * (0.5 + 0.5 * pose.stride)


def _direction(forward: float, out: float) -> np.ndarray:
    return np.array([math.sin(out), -math.cos(forward) * math.cos(out), math.sin(forward) * math.cos(out)])
