# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a person looks like: the words that captions may tell, and the traits that they never tell."""

import colorsys
from typing import Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from torchmultimodal_reid.data.synthetic.randomness import DOMAIN, draws, IDENTITY

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

#                      black white red purple gray yellow blue green brown pink orange
_COLOR_WEIGHTS: Mapping[str, Sequence[float]] = {
    "upper": (14, 13, 10, 7, 9, 8, 11, 9, 7, 6, 6),
    "lower": (17, 9, 6, 4, 12, 4, 15, 6, 11, 4, 3),
    "shoes": (26, 26, 7, 2, 10, 3, 8, 3, 11, 3, 3),
    "extra": (16, 9, 12, 6, 9, 8, 11, 9, 9, 6, 7),
}


class Palette(NamedTuple):
    """How frequent clothes and colours are in one domain. The meaning of the words is the same in all domains.

    Args:
        colors (Mapping[str, numpy.ndarray]): Slot (``upper``, ``lower``, ``shoes``, ``extra``) -> share of each color.
        shares (Mapping[str, numpy.ndarray]): Attribute -> share of each of its values.
        saturation (float): How lively the dyes of this domain are.
    """

    colors: Mapping[str, np.ndarray]
    shares: Mapping[str, np.ndarray]
    saturation: float


class Identity(NamedTuple):
    """One person.

    Args:
        attributes (Mapping[str, str]): What a caption may tell, attribute -> value as in ``VOCABULARY``.
        traits (Mapping[str, float]): What no caption tells: proportions, gait, habits.
        dyes (Mapping[str, numpy.ndarray]): Surface -> exact color in sRGB, within its name but the person's own.
    """

    attributes: Mapping[str, str]
    traits: Mapping[str, float]
    dyes: Mapping[str, np.ndarray]


def palette_of(domain: int) -> Palette:
    """The clothes statistics of a domain, a function of its number alone."""
    rng = draws(DOMAIN, domain, 1)

    def shifted(weights: Sequence[float], concentration: float) -> np.ndarray:
        base = np.asarray(weights, dtype=np.float64) / np.sum(weights)
        # a floor keeps every word alive, so that a caption of one domain can be understood in any other
        share = rng.gamma(concentration, size=base.size) * base
        return 0.85 * share / share.sum() + 0.15 * base

    colors = {slot: shifted(weights, 2.0) for slot, weights in _COLOR_WEIGHTS.items()}
    shares = {
        "gender": shifted((1, 1), 20),
        "age": shifted((2, 6, 2), 8),
        "build": shifted((3, 5, 2), 8),
        "hair_color": shifted((5, 5, 3, 1, 1), 2),
        "skin": shifted((5, 3, 2), 3),
        "upper_male": shifted((6, 4, 4, 4, 5, 3, 0), 2),
        "upper_female": shifted((5, 4, 4, 2, 4, 4, 4), 2),
        "pattern": shifted((6, 2, 1.5, 2), 3),
        "lower_male": shifted((5, 6, 3, 0), 2),
        "lower_female": shifted((4, 4, 2, 5), 2),
        "footwear": shifted((4, 1), 2),
        "hat": shifted((7, 1.5, 1, 1), 3),
        "glasses": shifted((3, 1), 4),
        "bag": shifted((4, 3, 2, 2), 2),
    }
    return Palette(colors, shares, float(rng.uniform(0.8, 1.12)))


def sample_identity(
    seed: int, domain: int, identity: int, palette: Palette
) -> Identity:
    """Draws the person with number ``identity`` of ``(seed, domain)``."""
    rng = draws(IDENTITY, seed, domain, identity)
    attributes = _sample_attributes(rng, palette)
    traits = _sample_traits(rng, attributes)
    dyes = _sample_dyes(rng, attributes, palette)
    return Identity(attributes, traits, dyes)


def _choose(rng: np.random.Generator, values: Sequence[str], share: np.ndarray) -> str:
    share = np.asarray(share[: len(values)], dtype=np.float64)
    return values[int(rng.choice(len(share), p=share / share.sum()))]


def _sample_attributes(rng: np.random.Generator, palette: Palette) -> Dict[str, str]:
    shares, words = palette.shares, VOCABULARY
    names: List[str] = list(COLORS)

    def color(slot: str, *avoid: str) -> str:
        share = palette.colors[slot].copy()
        for name in avoid:
            share[names.index(name)] = 0
        return _choose(rng, names, share)

    a: Dict[str, str] = {}
    for attribute in ("gender", "age", "build", "hair_color", "skin"):
        a[attribute] = _choose(rng, words[attribute], shares[attribute])
    female = a["gender"] == "female"
    if a["age"] == "older" and rng.random() < 0.85:
        a["hair_color"] = "gray"
    elif a["age"] != "older" and a["hair_color"] == "gray":
        a["hair_color"] = "black"
    a["hair_length"] = "long" if rng.random() < (0.78 if female else 0.07) else "short"
    a["upper_type"] = _choose(rng, words["upper_type"], shares[f"upper_{a['gender']}"])
    a["upper_color"] = color("upper")
    long_share = {"t-shirt": 0.0, "shirt": 0.6, "dress": 0.3}.get(a["upper_type"], 1.0)
    bare = {"t-shirt": 0.18, "dress": 0.35}.get(a["upper_type"], 0.0)
    a["sleeve"] = "long" if rng.random() < long_share else "short"
    if a["sleeve"] == "short" and rng.random() < bare:
        a["sleeve"] = "none"
    a["pattern"] = _choose(rng, words["pattern"], shares["pattern"])
    if a["pattern"] == "logo" and a["upper_type"] in ("shirt", "dress", "coat"):
        a["pattern"] = "plain"
    a["pattern_color"] = "none"
    if a["pattern"] != "plain":
        a["pattern_color"] = color("extra", a["upper_color"])
    if a["upper_type"] == "dress":
        a["lower_type"], a["lower_color"] = "dress", a["upper_color"]
    else:
        a["lower_type"] = _choose(
            rng, words["lower_type"], shares[f"lower_{a['gender']}"]
        )
        a["lower_color"] = color("lower")
        if a["lower_type"] == "jeans":
            a["lower_color"] = str(rng.choice(["blue", "blue", "blue", "black", "gray"]))
        if a["upper_type"] == "coat" and a["lower_type"] == "shorts":
            a["lower_type"] = "trousers"
    a["footwear"] = _choose(rng, words["footwear"], shares["footwear"])
    a["shoes_color"] = color("shoes")
    a["shoes"] = "dark" if a["shoes_color"] in DARK_SHOES else "light"
    a["hat"] = _choose(rng, words["hat"], shares["hat"])
    a["hat_color"] = "none" if a["hat"] == "none" else color("extra")
    a["glasses"] = _choose(rng, words["glasses"], shares["glasses"])
    a["bag"] = _choose(rng, words["bag"], shares["bag"])
    if a["bag"] == "handbag" and not female:
        a["bag"] = "backpack"
    # a bag of the colour of the clothes under it could not be seen
    a["bag_color"] = "none" if a["bag"] == "none" else color("extra", a["upper_color"])
    return {name: a[name] for name in VOCABULARY}


def _sample_traits(
    rng: np.random.Generator, attributes: Mapping[str, str]
) -> Dict[str, float]:
    female = attributes["gender"] == "female"
    stature = rng.normal(1.66 if female else 1.78, 0.06)
    if attributes["age"] == "teenager":
        stature -= 0.12
    near = rng.normal  # most traits are near 1
    return {
        "stature": float(np.clip(stature, 1.42, 2.0)),
        "head": float(near(1.0, 0.045) + (0.07 if attributes["age"] == "teenager" else 0.0)),
        "head_width": float(near(1.0, 0.05)),
        "legs": float(near(1.0, 0.025)),
        "arms": float(near(1.0, 0.03)),
        "shoulders": float(near(1.0, 0.05)),
        "hips": float(near(1.0, 0.05)),
        "waist": float(near(1.0, 0.05)),
        "belly": float(rng.uniform(0.0, 1.0)),
        "limbs": float(near(1.0, 0.08)),
        "upper_loose": float(rng.uniform(0.0, 1.0)),
        "lower_loose": float(rng.uniform(0.0, 1.0)),
        "upper_hem": float(rng.uniform(0.0, 1.0)),
        "lower_hem": float(rng.uniform(0.0, 1.0)),
        "sleeve_end": float(rng.uniform(0.0, 1.0)),
        "hair_volume": float(rng.uniform(0.0, 1.0)),
        "hair_end": float(rng.uniform(0.0, 1.0)),
        "hairline": float(rng.uniform(0.0, 1.0)),
        "stoop": float(rng.normal(0.02, 0.025) + (0.14 if attributes["age"] == "older" else 0.0)),
        "stride": float(rng.uniform(0.65, 1.2)),
        "swing": float(rng.uniform(0.4, 1.3)),
        "elbow": float(rng.uniform(0.1, 0.6)),
        "abduction": float(rng.uniform(0.05, 0.22)),
        "toe_out": float(rng.uniform(-0.05, 0.3)),
        "sole": float(rng.uniform(0.0, 1.0)),
        "shoe_size": float(near(1.0, 0.06)),
        "boot_height": float(rng.uniform(0.0, 1.0)),
        "pattern_scale": float(rng.uniform(0.0, 1.0)),
        "pattern_phase": float(rng.uniform(0.0, 1.0)),
        "pattern_duty": float(rng.uniform(0.35, 0.6)),
        "logo_width": float(rng.uniform(0.0, 1.0)),
        "logo_height": float(rng.uniform(0.0, 1.0)),
        "bag_size": float(rng.uniform(0.0, 1.0)),
        "bag_drop": float(rng.uniform(0.0, 1.0)),
        "opening": float(rng.uniform(0.0, 1.0)),
        "belt": float(rng.uniform(0.0, 1.0)),
        "collar": float(rng.uniform(0.0, 1.0)),
        "trim": float(rng.uniform(0.0, 1.0)),
    }


def _own_shade(
    rng: np.random.Generator, srgb: Sequence[float], spread: float, saturation: float
) -> np.ndarray:
    hue, sat, value = colorsys.rgb_to_hsv(*srgb)
    hue = (hue + rng.normal(0, 0.018) * spread) % 1.0
    sat = float(np.clip(sat * saturation * (1 + rng.uniform(-0.22, 0.12) * spread), 0, 1))
    value = float(np.clip(value * (1 + rng.uniform(-0.26, 0.16) * spread), 0.02, 0.97))
    tint = rng.normal(0, 0.012, size=3) * spread
    return np.clip(np.asarray(colorsys.hsv_to_rgb(hue, sat, value)) + tint, 0.015, 0.98)


def _sample_dyes(
    rng: np.random.Generator, a: Mapping[str, str], palette: Palette
) -> Dict[str, np.ndarray]:
    lively = palette.saturation

    def shade(name: str) -> np.ndarray:
        return _own_shade(rng, COLORS["gray" if name == "none" else name], 1.0, lively)

    dyes = {
        "skin": _own_shade(rng, SKINS[a["skin"]], 0.5, 1.0),
        "hair": _own_shade(rng, HAIR_COLORS[a["hair_color"]], 0.8, 1.0),
        "upper": shade(a["upper_color"]),
        "pattern": shade(a["pattern_color"]),
        "lower": shade(a["lower_color"]),
        "shoes": shade(a["shoes_color"]),
        "hat": shade(a["hat_color"]),
        "bag": shade(a["bag_color"]),
        # the shirt under an open jacket, the sole, the belt: seen, never told
        "inner": shade(_choose(rng, list(COLORS), palette.colors["upper"])),
        "sole": shade(str(rng.choice(["white", "gray", "black", "brown"]))),
        "belt": shade(str(rng.choice(["black", "brown"]))),
        "face": np.array([0.05, 0.04, 0.04]),
        "glasses": np.array([0.03, 0.03, 0.04]),
    }
    if a["lower_type"] == "dress":
        dyes["lower"] = dyes["upper"]
    if a["lower_type"] == "jeans" and a["lower_color"] == "blue":
        dyes["lower"] = _own_shade(rng, (0.20, 0.31, 0.55), 1.0, 1.0)
    return dyes
