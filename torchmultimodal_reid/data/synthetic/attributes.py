# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The words for what a person looks like. They mean the same in all domains."""

from typing import Mapping, Tuple

COLORS: Mapping[str, Tuple[float, float, float]] = {
    "black": (0.07, 0.07, 0.08),
    "white": (0.93, 0.93, 0.91),
    "red": (0.80, 0.09, 0.10),
    "purple": (0.47, 0.15, 0.62),
    "gray": (0.50, 0.50, 0.51),
    "yellow": (0.95, 0.82, 0.13),
    "blue": (0.10, 0.26, 0.75),
    "green": (0.11, 0.52, 0.20),
    "brown": (0.43, 0.25, 0.12),
    "pink": (0.96, 0.56, 0.72),
    "orange": (0.95, 0.45, 0.06),
}
HAIR_COLORS: Mapping[str, Tuple[float, float, float]] = {
    "black": (0.06, 0.05, 0.05),
    "brown": (0.31, 0.18, 0.09),
    "blonde": (0.83, 0.66, 0.32),
    "gray": (0.66, 0.66, 0.67),
    "red": (0.60, 0.22, 0.08),
}
SKINS: Mapping[str, Tuple[float, float, float]] = {
    "light": (0.93, 0.74, 0.63),
    "medium": (0.72, 0.51, 0.37),
    "dark": (0.38, 0.24, 0.17),
}
DARK_SHOES = ("black", "brown", "blue", "red", "purple", "green")

# attribute -> its values; the first list of every pair of weights below follows this order
VOCABULARY: Mapping[str, Tuple[str, ...]] = {
    "gender": ("male", "female"),
    "age": ("teenager", "adult", "older"),
    "build": ("slim", "average", "heavy"),
    "hair_length": ("short", "long"),
    "hair_color": tuple(HAIR_COLORS),
    "skin": tuple(SKINS),
    "upper_type": ("t-shirt", "shirt", "sweater", "hoodie", "jacket", "coat", "dress"),
    "upper_color": tuple(COLORS),
    "sleeve": ("none", "short", "long"),
    "pattern": ("plain", "striped", "chequered", "logo"),
    "pattern_color": ("none",) + tuple(COLORS),
    "lower_type": ("trousers", "jeans", "shorts", "skirt", "dress"),
    "lower_color": tuple(COLORS),
    "footwear": ("shoes", "boots"),
    "shoes": ("dark", "light"),
    "shoes_color": tuple(COLORS),
    "hat": ("none", "cap", "beanie", "brimmed hat"),
    "hat_color": ("none",) + tuple(COLORS),
    "glasses": ("none", "glasses"),
    "bag": ("none", "backpack", "handbag", "shoulder bag"),
    "bag_color": ("none",) + tuple(COLORS),
}
