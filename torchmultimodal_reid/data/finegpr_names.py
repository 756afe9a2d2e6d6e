# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What FineGPR's file names and attribute codes mean (https://github.com/JeremyXSC/FineGPR)."""

import os
import re
from typing import Dict, NamedTuple, Tuple

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.folders import printable

EXAMPLE = "0001_c01_w01_l01_p01.jpg"
NAME_PATTERN = re.compile(r"([0-9]+)_c([0-9]+)_w([0-9]+)_l([0-9]+)_p([0-9]+)\.")
NUM_VIEWPOINTS, NUM_BACKGROUNDS = 36, 9
WEATHERS = ("sunny", "clouds", "overcast", "foggy", "neutral", "blizzard", "snowlight")
ILLUMINATIONS = ("midnight", "dawn", "forenoon", "noon", "afternoon", "dusk", "night")
WILD_BACKGROUNDS = (3, 5, 8)  # the others are urban

_YES_NO = ("yes", "no")
_COLORS = (
    "black",
    "white",
    "red",
    "purple",
    "gray",
    "yellow",
    "blue",
    "green",
    "brown",
)

# The 13 attributes of a person, with their values in the order of the codes 1, 2, ...
ATTRIBUTES: Dict[str, Tuple[str, ...]] = {
    "gender": ("male", "female"),
    "hair": ("long", "short"),
    "age": ("teenager", "adult", "older"),
    "glasses": _YES_NO,
    "short_sleeve": _YES_NO,
    "dress": _YES_NO,
    "boot": _YES_NO,
    "hat": _YES_NO,
    "bag": _YES_NO,
    "top_length": ("long", "short"),
    "shoes": ("dark", "light"),
    "upper_color": _COLORS,
    "lower_color": _COLORS,
}


class FineGPRName(NamedTuple):
    """What the name of an image tells, in the numbers of the data set, from 1.

    Args:
        identity (int): The person; numbers are not contiguous.
        viewpoint (int): 1 to 36, from 90 degrees in steps of 10.
        weather (int): 1 to 7.
        illumination (int): 1 to 7.
        background (int): 1 to 9.
    """

    identity: int
    viewpoint: int
    weather: int
    illumination: int
    background: int

    @property
    def degrees(self) -> int:
        """The angle of the view: 90 for viewpoint 1, 0 for 28."""
        return (80 + 10 * self.viewpoint) % 360

    def conditions(self) -> Dict[str, str]:
        """The conditions in words."""
        wild = self.background in WILD_BACKGROUNDS
        return {
            "viewpoint": str(self.degrees),
            "weather": WEATHERS[self.weather - 1],
            "illumination": ILLUMINATIONS[self.illumination - 1],
            "scene": "wild" if wild else "urban",
        }


def parse_finegpr_name(path: str) -> FineGPRName:
    """Reads a file name such as ``0001_c01_w01_l01_p01.jpg``.

    Raises:
        DataError: If it does not parse, or a number is beyond what the data set has.
    """
    match = NAME_PATTERN.match(os.path.basename(path))
    if match is None:
        raise DataError(
            f"{printable(path)}: the name does not say identity, viewpoint, weather, illumination and background; "
            f"expected one such as {EXAMPLE}"
        )
    name = FineGPRName(*(int(number) for number in match.groups()))
    limits = (NUM_VIEWPOINTS, len(WEATHERS), len(ILLUMINATIONS), NUM_BACKGROUNDS)
    for field, value, limit in zip(FineGPRName._fields[1:], name[1:], limits):
        if not 1 <= value <= limit:
            raise DataError(
                f"{printable(path)}: {field} {value}; expected 1 to {limit}"
            )
    return name
