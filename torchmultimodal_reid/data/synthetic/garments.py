# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What is worn over the body: hair, hat, skirt and bag."""

from typing import Dict

import numpy as np
from torchmultimodal_reid.data.synthetic.body import (
    cloth,
    girth,
    hips_radius,
    LEFT,
    RIGHT,
    waist_radius,
)
from torchmultimodal_reid.data.synthetic.identity import Identity
from torchmultimodal_reid.data.synthetic.parts import (
    BAG,
    HAIR,
    HAT,
    HEAD,
    Joints,
    LOWER,
    PartList,
    Pose,
    SKIN,
    SKIRT,
    UPPER,
)


def add_head(body: PartList, identity: Identity, j: Joints) -> None:
    """Adds the head, the hair and the hat."""
    a, t, r, size = identity.attributes, identity.traits, j.head_radius, j.size
    at = np.array([0.0, j.head, 0.012 * size])
    narrow = 0.76 * t["head_width"]
    body.add(at, at, (r, r), SKIN, scales=(narrow, 1.0, 0.88), region=HEAD)
    body.add(
        at + [0, -0.1 * r, 0.86 * r],
        at + [0, -0.25 * r, 0.95 * r],
        (0.1 * r, 0.13 * r),
        SKIN,
    )
    # the cap of hair sits higher and further back than the skull, so that it leaves the face free
    volume = 1.03 + 0.09 * t["hair_volume"]
    shift = np.array(
        [0.0, (0.16 + 0.1 * t["hairline"]) * r, (-0.22 - 0.12 * t["hairline"]) * r]
    )
    body.add(
        at + shift,
        at + shift,
        (r * volume * 0.95,) * 2,
        HAIR,
        scales=(narrow * 1.1, 0.97, 0.9),
    )
    if a["hair_length"] == "long":
        end = j.shoulder - (0.01 + 0.1 * t["hair_end"]) * size
        back = at + [0, 0.0, -0.45 * r]
        body.add(
            back,
            (0, end, -0.075 * size),
            (r * 0.72 * volume, r * 0.8),
            HAIR,
            scales=(1.1, 0.6, 0.55),
        )
        for side in (LEFT, RIGHT):
            lock = at + [side * 0.74 * r * t["head_width"], 0.15 * r, -0.1 * r]
            low = (
                side * 0.055 * size,
                max(end, j.shoulder - 0.05 * size),
                0.012 * size,
            )
            body.add(
                lock, low, (0.24 * r * volume, 0.30 * r), HAIR, scales=(1.0, 1.0, 1.2)
            )
    _add_hat(body, identity, at, r, narrow)


def _add_hat(
    body: PartList, identity: Identity, at: np.ndarray, r: float, narrow: float
) -> None:
    hat = identity.attributes["hat"]
    if hat == "none":
        return
    crown = at + [0, 0.46 * r, -0.15 * r]
    if hat == "beanie":
        body.add(
            crown,
            crown + [0, 0.25 * r, -0.05 * r],
            (r * 0.98, r * 0.78),
            HAT,
            scales=(narrow * 1.25, 0.75, 1.0),
        )
    elif hat == "cap":
        body.add(
            crown,
            crown + [0, 0.12 * r, 0],
            (r * 0.98, r * 0.9),
            HAT,
            scales=(narrow * 1.24, 0.74, 1.1),
        )
        brim = crown + [0, -0.02 * r, 0.8 * r]
        body.add(
            brim,
            brim + [0, -0.12 * r, 0.6 * r],
            (r * 0.62, r * 0.55),
            HAT,
            scales=(1.15, 0.14, 1.0),
        )
    else:
        body.add(
            crown,
            crown + [0, 0.5 * r, 0],
            (r * 0.97, r * 0.8),
            HAT,
            scales=(narrow * 1.2, 0.4, 0.95),
        )
        brim = crown + [0, -0.05 * r, 0.05 * r]
        body.add(brim, brim, (r * 1.75, r * 1.75), HAT, scales=(0.95, 0.1, 1.0))


def add_skirt(body: PartList, identity: Identity, j: Joints, pose: Pose) -> None:
    """The skirt of a skirt or a dress, and the tails of a coat: they hang from the waist over the hips and legs."""
    a, t, size = identity.attributes, identity.traits, j.size
    if a["lower_type"] in ("skirt", "dress"):
        end = j.hip * (0.70 - 0.34 * t["lower_hem"])
        spread = (0.02 + 0.06 * t["lower_loose"]) * size * (j.hip - end) / j.hip * 2
        color = UPPER if a["lower_type"] == "dress" else LOWER
        _hang(body, identity, j, pose, end, 0.008, spread, color)
    if a["upper_type"] == "coat":
        end = j.hip * (0.78 - 0.26 * t["upper_hem"])
        _hang(
            body, identity, j, pose, end, 0.02, 0.02 * size * (1 + pose.stride), UPPER
        )


def _hang(
    body: PartList,
    identity: Identity,
    j: Joints,
    pose: Pose,
    end: float,
    gap: float,
    spread: float,
    color: int,
) -> None:
    waist, hips = (
        waist_radius(identity, j) + gap,
        hips_radius(identity, j) + gap + 0.004,
    )
    # a stride pulls the cloth forwards and backwards
    scales = (1.0, 0.1, 0.74 + 0.14 * pose.stride)
    at = (0, j.hip, 0)
    body.add((0, j.waist, 0), at, (waist, hips), color, scales=scales, region=SKIRT)
    body.add(at, (0, end, 0), (hips, hips + spread), color, scales=scales, region=SKIRT)


def add_bag(
    body: PartList,
    identity: Identity,
    j: Joints,
    pose: Pose,
    hands: Dict[int, np.ndarray],
) -> None:
    """Adds the bag; straps over the trunk are painted."""
    bag, t, size = identity.attributes["bag"], identity.traits, j.size
    big = 0.85 + 0.35 * t["bag_size"]
    if bag == "backpack":
        depth = (0.072 + 0.012 * girth(identity)) * size + cloth(identity)
        top, low = (
            j.shoulder - 0.055 * size,
            j.waist + (0.03 - 0.06 * t["bag_drop"]) * size,
        )
        width = 0.082 * size * big
        body.add(
            (0, top, -depth),
            (0, low, -depth - 0.01),
            (width * 0.85, width),
            BAG,
            scales=(1.0, 0.4, 0.72),
        )
        pocket = low + 0.02 * size
        body.add(
            (0, pocket + 0.03, -depth - 0.05 * size),
            (0, pocket, -depth - 0.05 * size),
            (width * 0.7,) * 2,
            BAG,
            scales=(1, 0.5, 0.45),
        )
    elif bag == "handbag":
        hand = hands[pose.bag_side]
        upper = hand + [0.0, -(0.06 + 0.03 * t["bag_drop"]) * size, 0.0]
        under = upper + [0.0, -0.05 * size * big, 0.0]
        # flat from side to side, long from front to back
        body.add(
            upper,
            under,
            (0.066 * size * big, 0.082 * size * big),
            BAG,
            scales=(0.42, 0.4, 1.0),
        )
        for end in (-0.05, 0.05):
            body.add(hand, upper + [0, 0, end * size], (0.007 * size,) * 2, BAG)
    elif bag == "shoulder bag":
        side = pose.bag_side
        at = np.array(
            [
                side * (0.115 + 0.02 * girth(identity)) * size,
                j.hip + (0.05 - 0.06 * t["bag_drop"]) * size,
                -0.02,
            ]
        )
        body.add(
            at,
            at + [0, -0.06 * size, 0],
            (0.062 * size * big, 0.072 * size * big),
            BAG,
            scales=(0.5, 0.4, 1.05),
        )
