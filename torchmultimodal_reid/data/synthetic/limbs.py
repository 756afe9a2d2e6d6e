# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Legs and arms, with trousers, sleeves and shoes on them."""

import math
from typing import Dict, Tuple

import numpy as np
from torchmultimodal_reid.data.synthetic.body import cloth, girth, LEFT, RIGHT
from torchmultimodal_reid.data.synthetic.identity import Identity
from torchmultimodal_reid.data.synthetic.parts import (
    Joints,
    LOWER,
    PartList,
    Pose,
    SHOES,
    SKIN,
    SOLE,
    turn_x,
    turn_y,
    UPPER,
)


def add_legs(body: PartList, identity: Identity, j: Joints, pose: Pose) -> None:
    """Adds both legs from the hips to the soles."""
    a, t, size = identity.attributes, identity.traits, j.size
    slack = {"jeans": 0.006, "trousers": 0.012, "shorts": 0.022}.get(
        a["lower_type"], 0.0
    )
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
        ankle = knee + shin_length * np.array(
            [0.0, -math.cos(swing - bend), math.sin(swing - bend)]
        )
        thigh = (0.047 * size * broad + slack * 0.5, 0.030 * size * broad + slack)
        shin = (
            thigh[1],
            0.020 * size * broad + slack * 1.1 if covered else 0.019 * size * broad,
        )
        body.add(hip, knee, thigh, leg)
        if a["lower_type"] == "shorts":
            end = 0.66 + 0.34 * t["lower_hem"]
            hem = hip + (knee - hip) * end
            body.add(hip, hem, (thigh[0] + 0.006, thigh[1] + 0.012), LOWER)
        body.add(knee, ankle, shin, leg)
        if a["footwear"] == "boots":
            top = ankle + (knee - ankle) * (0.42 + 0.4 * t["boot_height"])
            body.add(
                top,
                ankle,
                (max(shin) + 0.008, shin[1] + 0.012),
                SHOES,
                scales=(1, 0.6, 1),
            )
        _add_foot(body, identity, ankle, side, swing - bend, lift, size)


def _add_foot(
    body: PartList,
    identity: Identity,
    ankle: np.ndarray,
    side: int,
    tilt: float,
    lift: float,
    size: float,
) -> None:
    t = identity.traits
    # the heel lifts where the shin leans back
    turn = turn_y(side * t["toe_out"]) @ turn_x(min(0.0, tilt) * -0.8)
    long = 0.098 * size * t["shoe_size"]
    heel = ankle + turn @ np.array([0.0, -0.012, -0.022])
    toe = ankle + turn @ np.array([0.0, -0.030, long])
    body.add(
        heel,
        toe,
        (0.027 * size, 0.022 * size),
        SHOES,
        turn=turn,
        scales=(1.0, 0.85, 1.0),
    )
    sole = turn @ np.array([0.0, -lift, 0.0])
    body.add(
        heel + sole,
        toe + sole,
        (0.028 * size, 0.024 * size),
        SOLE,
        turn=turn,
        scales=(1.0, 0.62, 1.0),
    )


def add_arms(
    body: PartList, identity: Identity, j: Joints, pose: Pose
) -> Dict[int, np.ndarray]:
    """Adds both arms; returns the tip of each hand."""
    a, t, size = identity.attributes, identity.traits, j.size
    broad, thick = girth(identity) ** 0.5 * t["limbs"], cloth(identity)
    upper_length, fore_length = 0.172 * size * t["arms"], 0.150 * size * t["arms"]
    hands = {}
    for side in (LEFT, RIGHT):
        carries = a["bag"] == "handbag" and side == pose.bag_side
        forward, out, bend = _arm_angles(identity, pose, side, carries)
        shoulder = np.array([side * j.shoulder_half, j.shoulder - 0.042 * size, 0.0])
        elbow = shoulder + upper_length * _direction(forward, out * side)
        hand = elbow + fore_length * _direction(
            forward + bend, out * side * (0.4 if pose.gesture != 2 else -0.6)
        )
        arm = (0.031 * size * broad, 0.026 * size * broad, 0.020 * size * broad)
        if a["sleeve"] == "long":
            body.add(shoulder, elbow, (arm[0] + thick, arm[1] + thick), UPPER)
            body.add(elbow, hand, (arm[1] + thick, arm[2] + thick), UPPER)
        else:
            body.add(shoulder, elbow, (arm[0], arm[1]), SKIN)
            body.add(elbow, hand, (arm[1], arm[2] * 0.9), SKIN)
            if a["sleeve"] == "short":
                end = shoulder + (elbow - shoulder) * (0.5 + 0.4 * t["sleeve_end"])
                body.add(
                    shoulder,
                    end,
                    (arm[0] + thick + 0.004, arm[1] + thick + 0.014),
                    UPPER,
                )
        along = (hand - elbow) / fore_length
        tip = hand + along * 0.040 * size
        body.add(hand, tip, (0.019 * size, 0.021 * size), SKIN)
        hands[side] = tip
    return hands


def _arm_angles(
    identity: Identity, pose: Pose, side: int, carries: bool
) -> Tuple[float, float, float]:
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
    return (
        pose.stride * 0.5 * t["swing"] * math.sin(phase),
        out,
        t["elbow"] * (0.5 + 0.5 * pose.stride),
    )


def _direction(forward: float, out: float) -> np.ndarray:
    return np.array(
        [
            math.sin(out),
            -math.cos(forward) * math.cos(out),
            math.sin(forward) * math.cos(out),
        ]
    )
