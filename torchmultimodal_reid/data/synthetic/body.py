# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The trunk: measures of the body, hips, waist and chest with the clothes on them."""

from torchmultimodal_reid.data.synthetic.identity import Identity
from torchmultimodal_reid.data.synthetic.parts import (
    Joints,
    LOWER,
    PartList,
    SKIN,
    TORSO,
    UPPER,
)

# thickness of the cloth, in metres
_CLOTH = {
    "t-shirt": 0.004,
    "shirt": 0.006,
    "sweater": 0.014,
    "hoodie": 0.02,
    "jacket": 0.022,
    "coat": 0.026,
    "dress": 0.004,
}
LEFT, RIGHT = 1, -1


def girth(identity: Identity) -> float:
    """How broad the person is compared to an average one."""
    return {"slim": 0.78, "average": 1.0, "heavy": 1.3}[identity.attributes["build"]]


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
        shoulder_half=(0.096 if female else 0.113) * size * t["shoulders"] * broad,
        head_radius=radius,
        size=size,
    )


def cloth(identity: Identity) -> float:
    """Thickness of the upper clothes, in metres."""
    return (
        _CLOTH[identity.attributes["upper_type"]]
        + 0.012 * identity.traits["upper_loose"]
    )


def hips_radius(identity: Identity, j: Joints) -> float:
    """Half of the clothed hips' width, in metres."""
    base = 0.100 if identity.attributes["gender"] == "female" else 0.091
    return base * j.size * identity.traits["hips"] * girth(
        identity
    ) ** 0.7 + 0.5 * cloth(identity)


def waist_radius(identity: Identity, j: Joints) -> float:
    """Half of the clothed waist's width, in metres."""
    base = 0.075 if identity.attributes["gender"] == "female" else 0.088
    return base * j.size * identity.traits["waist"] * girth(identity) + cloth(identity)


def add_torso(body: PartList, identity: Identity, j: Joints) -> None:
    a, t, size = identity.attributes, identity.traits, j.size
    female, wide = a["gender"] == "female", girth(identity)
    skin_gap = cloth(identity)
    hips, waist = hips_radius(identity, j), waist_radius(identity, j)
    chest = (0.090 if female else 0.102) * size * wide**0.6 + skin_gap
    flat = (1.0, 0.45, 0.66)
    lower = UPPER if a["lower_type"] == "dress" else LOWER
    # the upper clothes end between the waist and the hips
    body.add(
        (0, j.hip - 0.02 * size, 0),
        (0, j.waist, 0),
        (hips, waist),
        lower,
        scales=flat,
        region=TORSO,
    )
    drop = {"jacket": 0.5, "hoodie": 0.7, "sweater": 0.7, "coat": 1.0}.get(
        a["upper_type"], 0.95 - 0.8 * t["upper_hem"]
    )
    if a["lower_type"] == "skirt":
        drop = 0.0  # tucked in
    hem = j.waist - max(0.0, drop) * (j.waist - j.hip)
    share = (hem - j.hip) / (j.waist - j.hip)
    hem_width = hips + (waist - hips) * share + 0.006 + 0.3 * skin_gap
    body.add(
        (0, hem, 0),
        (0, j.waist, 0),
        (hem_width, waist + 0.006),
        UPPER,
        scales=(1, 0.25, 0.68),
        region=TORSO,
    )
    belly = 0.012 * size * max(0.0, wide - 0.9) * (1 + t["belly"])
    body.add(
        (0, j.waist, belly),
        (0, j.chest, belly * 0.5),
        (waist + 0.006, chest),
        UPPER,
        scales=flat,
        region=TORSO,
    )
    top = (0, j.shoulder - 0.028 * size, -0.005)
    body.add(
        (0, j.chest, 0),
        top,
        (chest, chest * 0.82),
        UPPER,
        scales=(1.0, 0.5, 0.62),
        region=TORSO,
    )
    if wide > 1.1:
        body.add(
            (0, j.waist, 0.05 * size * wide),
            (0, j.waist + 0.03, 0.05 * size),
            (0.075 * size,) * 2,
            UPPER,
            region=TORSO,
        )
    if female:
        for side in (LEFT, RIGHT):
            at = (side * 0.042 * size, j.chest + 0.008 * size, 0.045 * size)
            body.add(at, at, (0.036 * size * wide**0.5,) * 2, UPPER, region=TORSO)
    bone = 0.032 * size + 0.8 * skin_gap
    for side in (LEFT, RIGHT):
        joint = (side * (j.shoulder_half - 0.012), j.shoulder - 0.036 * size, 0)
        body.add(
            (0, j.shoulder - 0.002 * size, 0),
            joint,
            (bone, bone * 0.85),
            UPPER,
            region=TORSO,
        )
    body.add(
        (0, j.shoulder - 0.01, 0),
        (0, j.head - 0.03, 0.012),
        (0.034 * size, 0.031 * size),
        SKIN,
    )
    if a["upper_type"] in ("jacket", "coat", "shirt") or t["collar"] > 0.75:
        high = j.shoulder + (0.012 + 0.02 * t["collar"]) * size
        body.add(
            (0, j.shoulder, 0),
            (0, high, 0.0),
            (0.048 * size, 0.041 * size),
            UPPER,
            scales=(1, 0.3, 1),
        )
    if a["upper_type"] == "hoodie":
        at = (0, j.shoulder + 0.01 * size, -0.055 * size)
        body.add(at, at, (0.062 * size,) * 2, UPPER, scales=(1.1, 0.75, 0.7))
