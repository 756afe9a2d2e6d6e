# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Puts a person together: body, clothes and bag in one pose."""

from typing import List, Sequence, Tuple

import numpy as np
from torchmultimodal_reid.data.synthetic.body import add_torso, measure
from torchmultimodal_reid.data.synthetic.garments import add_bag, add_head, add_skirt
from torchmultimodal_reid.data.synthetic.identity import Identity
from torchmultimodal_reid.data.synthetic.limbs import add_arms, add_legs
from torchmultimodal_reid.data.synthetic.parts import (
    Joints,
    Part,
    PartList,
    Pose,
    turn_x,
)


def build_figure(identity: Identity, pose: Pose) -> Tuple[List[Part], Joints]:
    """Poses the body, dresses it and hangs the bag on it.

    Args:
        identity (Identity): The person.
        pose (Pose): What the person does. Its yaw is not applied here.

    Returns:
        Tuple[List[Part], Joints]: The parts in the body's frame, the lowest foot on the ground, and the joints.
    """
    joints = measure(identity)
    lower, upper = PartList(), PartList()
    add_legs(lower, identity, joints, pose)
    add_skirt(lower, identity, joints, pose)
    add_torso(upper, identity, joints)
    hands = add_arms(upper, identity, joints, pose)
    add_head(upper, identity, joints)
    add_bag(upper, identity, joints, pose, hands)
    parts = lower.parts + _lean(upper.parts, identity.traits["stoop"], joints.hip)
    ground = min(_lowest(part) for part in lower.parts)
    down = np.array([0.0, ground, 0.0])
    return [p._replace(start=p.start - down, end=p.end - down) for p in parts], joints


def _lowest(part: Part) -> float:
    thick = float(np.linalg.norm(part.axes[1]))
    return min(
        float(part.start[1]) - part.start_radius * thick,
        float(part.end[1]) - part.end_radius * thick,
    )


def _lean(parts: Sequence[Part], angle: float, height: float) -> List[Part]:
    turn, pivot = turn_x(angle), np.array([0.0, height, 0.0])
    return [
        p._replace(
            start=turn @ (p.start - pivot) + pivot,
            end=turn @ (p.end - pivot) + pivot,
            axes=turn @ p.axes,
        )
        for p in parts
    ]
