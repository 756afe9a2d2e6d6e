# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Persons: what a caption may tell of them, and the traits that none tells."""

import colorsys
from typing import Dict, Mapping, NamedTuple, Sequence

import numpy as np
from torchmultimodal_reid.data.synthetic.attributes import (
    COLORS,
    DARK_SHOES,
    HAIR_COLORS,
    SKINS,
    VOCABULARY,
)
from torchmultimodal_reid.data.synthetic.palette import (
    choose,
    choose_color,
    FOLLOWERS,
    Palette,
    sample_clothes,
)
from torchmultimodal_reid.data.synthetic.randomness import draws, IDENTITY


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


def sample_identity(
    seed: int, domain: int, identity: int, palette: Palette
) -> Identity:
    """Draws the person with number ``identity`` of ``(seed, domain)``."""
    rng = draws(IDENTITY, seed, domain, identity)
    attributes = _sample_attributes(rng, palette)
    traits = _sample_traits(rng, attributes)
    dyes = _sample_dyes(rng, attributes, palette)
    return Identity(attributes, traits, dyes)


def _sample_attributes(rng: np.random.Generator, palette: Palette) -> Dict[str, str]:
    shares, words = palette.shares, VOCABULARY
    a: Dict[str, str] = {}
    for attribute in ("gender", "age", "build", "hair_color", "skin"):
        a[attribute] = choose(rng, words[attribute], shares[attribute])
    if rng.random() < FOLLOWERS:
        a.update(palette.fashions[int(rng.integers(len(palette.fashions)))])
    else:
        a.update(sample_clothes(rng, palette, a["gender"]))
    female = a["gender"] == "female"
    # gray hair is what shows the age in a small picture
    if a["age"] == "older":
        a["hair_color"] = "gray"
    elif a["hair_color"] == "gray":
        a["hair_color"] = "black"
    a["hair_length"] = "long" if rng.random() < (0.78 if female else 0.07) else "short"
    a["footwear"] = choose(rng, words["footwear"], shares["footwear"])
    a["shoes_color"] = choose_color(rng, palette, "shoes")
    a["shoes"] = "dark" if a["shoes_color"] in DARK_SHOES else "light"
    a["hat"] = choose(rng, words["hat"], shares["hat"])
    a["hat_color"] = (
        "none" if a["hat"] == "none" else choose_color(rng, palette, "extra")
    )
    a["glasses"] = choose(rng, words["glasses"], shares["glasses"])
    a["bag"] = choose(rng, words["bag"], shares["bag"])
    if a["bag"] == "handbag" and not female:
        a["bag"] = "backpack"
    # a bag of the colour of the clothes under it could not be seen
    a["bag_color"] = (
        "none"
        if a["bag"] == "none"
        else choose_color(rng, palette, "extra", a["upper_color"])
    )
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
        "head": float(
            near(1.0, 0.045) + (0.07 if attributes["age"] == "teenager" else 0.0)
        ),
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
        "stoop": float(
            rng.normal(0.02, 0.025) + (0.14 if attributes["age"] == "older" else 0.0)
        ),
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
    # narrow enough that red, orange and yellow stay apart, and white, gray and black
    hue = (hue + float(np.clip(rng.normal(0, 0.015), -0.028, 0.028)) * spread) % 1.0
    sat *= saturation * (1 + rng.uniform(-0.22, 0.12) * spread)
    value *= 1 + rng.uniform(-0.22, 0.16) * spread
    shade = colorsys.hsv_to_rgb(hue, min(sat, 1.0), min(value, 0.97))
    tint = np.clip(rng.normal(0, 0.01, size=3), -0.02, 0.02) * spread
    return np.clip(np.asarray(shade) + tint, 0.015, 0.98)


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
        "inner": shade(choose(rng, list(COLORS), palette.colors["upper"])),
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
