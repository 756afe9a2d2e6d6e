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
_FLAT = (1.0, 0.45, 0.66)  # a trunk is wider than deep


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
    """Adds what is between the hips and the head."""
    _add_hips(body, identity, j)
    _add_chest(body, identity, j)
    _add_shoulders(body, identity, j)
    _add_collar(body, identity, j)


def _add_hips(body: PartList, identity: Identity, j: Joints) -> None:
    a, t, size = identity.attributes, identity.traits, j.size
    hips, waist = hips_radius(identity, j), waist_radius(identity, j)
    lower = UPPER if a["lower_type"] == "dress" else LOWER
    low, high = (0, j.hip - 0.02 * size, 0), (0, j.waist, 0)
    body.add(low, high, (hips, waist), lower, scales=_FLAT, region=TORSO)
    # the upper clothes end between the waist and the hips
    drop = {"jacket": 0.5, "hoodie": 0.7, "sweater": 0.7, "coat": 1.0}.get(
        a["upper_type"], max(0.0, 0.95 - 0.8 * t["upper_hem"])
    )
    if a["lower_type"] == "skirt":
        drop = 0.0  # tucked in
    width = waist + (hips - waist) * drop + 0.006 + 0.3 * cloth(identity)
    hem = (0, j.waist - drop * (j.waist - j.hip), 0)
    scales = (1, 0.25, 0.68)
    body.add(hem, high, (width, waist + 0.006), UPPER, scales=scales, region=TORSO)


def _add_chest(body: PartList, identity: Identity, j: Joints) -> None:
    t, size = identity.traits, j.size
    female, wide = identity.attributes["gender"] == "female", girth(identity)
    waist = waist_radius(identity, j) + 0.006
    chest = (0.090 if female else 0.102) * size * wide**0.6 + cloth(identity)
    belly = 0.012 * size * max(0.0, wide - 0.9) * (1 + t["belly"])
    low, middle = (0, j.waist, belly), (0, j.chest, belly * 0.5)
    body.add(low, middle, (waist, chest), UPPER, scales=_FLAT, region=TORSO)
    top, scales = (0, j.shoulder - 0.028 * size, -0.005), (1.0, 0.5, 0.62)
    radii = (chest, chest * 0.82)
    body.add((0, j.chest, 0), top, radii, UPPER, scales=scales, region=TORSO)
    if wide > 1.1:
        at = (0.0, j.waist + 0.012 * size, 0.052 * size)
        radii = (0.078 * size, 0.078 * size)
        body.add(at, at, radii, UPPER, scales=(1.1, 1.1, 0.9), region=TORSO)
    if female:
        radius = 0.036 * size * wide**0.5
        for side in (LEFT, RIGHT):
            at = (side * 0.042 * size, j.chest + 0.008 * size, 0.045 * size)
            body.add(at, at, (radius, radius), UPPER, region=TORSO)


def _add_shoulders(body: PartList, identity: Identity, j: Joints) -> None:
    bone = 0.032 * j.size + 0.8 * cloth(identity)
    middle = (0, j.shoulder - 0.002 * j.size, 0)
    for side in (LEFT, RIGHT):
        end = (side * (j.shoulder_half - 0.012), j.shoulder - 0.036 * j.size, 0)
        body.add(middle, end, (bone, bone * 0.85), UPPER, region=TORSO)


def _add_collar(body: PartList, identity: Identity, j: Joints) -> None:
    kind, t, size = identity.attributes["upper_type"], identity.traits, j.size
    chin = (0, j.head - 0.03, 0.012)
    body.add((0, j.shoulder - 0.01, 0), chin, (0.034 * size, 0.031 * size), SKIN)
    if kind in ("jacket", "coat", "shirt") or t["collar"] > 0.75:
        low, high = (0, j.shoulder, 0), (
            0,
            j.shoulder + (0.012 + 0.02 * t["collar"]) * size,
            0,
        )
        body.add(low, high, (0.048 * size, 0.041 * size), UPPER, scales=(1, 0.3, 1))
    if kind == "hoodie":
        at = (0, j.shoulder + 0.01 * size, -0.055 * size)
        radius = 0.062 * size
        body.add(at, at, (radius, radius), UPPER, scales=(1.1, 0.75, 0.7))
