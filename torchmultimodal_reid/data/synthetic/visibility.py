# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What of a person a picture shows, so that captions tell nothing that it hides."""

import math
from typing import Dict, Mapping

from torchmultimodal_reid.data.synthetic.identity import Identity
from torchmultimodal_reid.data.synthetic.parts import Pose

# least share of the person's pixels, measured in the rendered picture
_LEAST = {
    "hair": 0.012,
    "upper": 0.05,
    "lower": 0.04,
    "shoes": 0.008,
    "hat": 0.006,
    "bag": 0.008,
}
_LEAST_SKIN, _LEAST_LOGO, _LEAST_PATTERN, _LEAST_GLASSES, _LEAST_FACE = (
    0.015,
    0.004,
    0.012,
    0.0012,
    0.0006,
)


def view_of(pose: Pose) -> str:
    """The side that is seen: ``front``, ``back``, or ``left`` or ``right`` for the person's own side.

    A person who shows the right side faces the right of the picture, so both meanings swap when it is flipped.
    """
    turn = abs(pose.yaw)
    if turn < math.pi / 4:
        return "front"
    if turn > 3 * math.pi / 4:
        return "back"
    return "right" if pose.yaw > 0 else "left"


def tellable(
    identity: Identity, pose: Pose, visible: Mapping[str, float]
) -> Dict[str, str]:
    """The attributes that can be read off a picture.

    Args:
        identity (Identity): The person.
        pose (Pose): What the person does.
        visible (Mapping[str, float]): Surface -> its share of the person's pixels.

    Returns:
        Dict[str, str]: A part of the identity's attributes, with the identity's values.
    """
    a, view = identity.attributes, view_of(pose)
    upper = visible["upper"] + visible["pattern"]
    names = ["gender", "age", "build"]
    if visible["hair"] >= _LEAST["hair"]:
        names += ["hair_length", "hair_color"]
    if visible["skin"] >= _LEAST_SKIN:
        names += ["skin"]
    if upper >= _LEAST["upper"]:
        names += ["upper_type", "upper_color", "sleeve"]
        least = _LEAST_LOGO if a["pattern"] == "logo" else _LEAST_PATTERN
        # that nothing is printed on the chest is not seen from behind
        if view != "back" if a["pattern"] == "plain" else visible["pattern"] >= least:
            names += ["pattern", "pattern_color"]
    if (upper if a["lower_type"] == "dress" else visible["lower"]) >= _LEAST["lower"]:
        names += ["lower_type", "lower_color"]
    if visible["shoes"] >= _LEAST["shoes"]:
        names += ["footwear", "shoes", "shoes_color"]
    if visible["hat" if a["hat"] != "none" else "hair"] >= _LEAST["hat"]:
        names += ["hat", "hat_color"]
    if visible["glasses"] >= _LEAST_GLASSES or (
        a["glasses"] == "none" and visible["face"] >= _LEAST_FACE
    ):
        names += ["glasses"]
    # a backpack shows only its straps from the front, and who has none might have one behind
    if a["bag"] == "none":
        names += ["bag", "bag_color"] if view != "front" else []
    elif visible["bag"] >= (
        0.03 if a["bag"] == "backpack" and view == "front" else _LEAST["bag"]
    ):
        names += ["bag", "bag_color"]
    return {name: a[name] for name in a if name in names}
