# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Which clothes and colors are frequent in a domain."""

from typing import Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
from torchmultimodal_reid.data.synthetic.attributes import COLORS, VOCABULARY
from torchmultimodal_reid.data.synthetic.randomness import DOMAIN, draws

#                      black white red purple gray yellow blue green brown pink orange
_COLOR_WEIGHTS: Mapping[str, Sequence[float]] = {
    "upper": (14, 13, 10, 7, 9, 8, 11, 9, 7, 6, 6),
    "lower": (17, 9, 6, 4, 12, 4, 15, 6, 11, 4, 3),
    "shoes": (26, 26, 7, 2, 10, 3, 8, 3, 11, 3, 3),
    "extra": (16, 9, 12, 6, 9, 8, 11, 9, 9, 6, 7),
}

# how many outfits are in fashion in a domain, and the share of people who wear one
_FASHIONS, FOLLOWERS = 24, 0.65


class Palette(NamedTuple):
    """How frequent clothes and colours are in one domain. The meaning of the words is the same in all domains.

    Args:
        colors (Mapping[str, numpy.ndarray]): Slot (``upper``, ``lower``, ``shoes``, ``extra``) -> share of each color.
        shares (Mapping[str, numpy.ndarray]): Attribute -> share of each of its values.
        saturation (float): How lively the dyes of this domain are.
        fashions (Tuple[Mapping[str, str], ...]): Outfits that many people wear, so that people share a caption.
    """

    colors: Mapping[str, np.ndarray]
    shares: Mapping[str, np.ndarray]
    saturation: float
    fashions: Tuple[Mapping[str, str], ...] = ()


def palette_of(domain: int) -> Palette:
    """The clothes statistics of a domain, a function of its number alone."""
    rng = draws(DOMAIN, domain, 1)

    def shifted(weights: Sequence[float], concentration: float) -> np.ndarray:
        base = np.asarray(weights, dtype=np.float64) / np.sum(weights)
        # a floor keeps every word alive, so that a caption of one domain can be understood in any other
        share = rng.gamma(concentration, size=base.size) * base
        return 0.8 * share / share.sum() + 0.2 * base

    colors = {slot: shifted(weights, 4.0) for slot, weights in _COLOR_WEIGHTS.items()}
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
    palette = Palette(colors, shares, float(rng.uniform(0.8, 1.12)))
    outfits = []
    for _ in range(_FASHIONS):
        gender = choose(rng, VOCABULARY["gender"], shares["gender"])
        outfits.append({"gender": gender, **sample_clothes(rng, palette, gender)})
    return palette._replace(fashions=tuple(outfits))


def choose(rng: np.random.Generator, values: Sequence[str], share: np.ndarray) -> str:
    share = np.asarray(share[: len(values)], dtype=np.float64)
    return values[int(rng.choice(len(share), p=share / share.sum()))]


def choose_color(
    rng: np.random.Generator, palette: Palette, slot: str, *avoid: str
) -> str:
    names: List[str] = list(COLORS)
    share = palette.colors[slot].copy()
    for name in avoid:
        share[names.index(name)] = 0
    return choose(rng, names, share)


def sample_clothes(
    rng: np.random.Generator, palette: Palette, gender: str
) -> Dict[str, str]:
    shares, words = palette.shares, VOCABULARY
    a: Dict[str, str] = {}
    a["upper_type"] = choose(rng, words["upper_type"], shares[f"upper_{gender}"])
    a["upper_color"] = choose_color(rng, palette, "upper")
    long_share = {"t-shirt": 0.0, "shirt": 0.6, "dress": 0.3}.get(a["upper_type"], 1.0)
    bare = {"t-shirt": 0.18, "dress": 0.35}.get(a["upper_type"], 0.0)
    a["sleeve"] = "long" if rng.random() < long_share else "short"
    if a["sleeve"] == "short" and rng.random() < bare:
        a["sleeve"] = "none"
    a["pattern"] = choose(rng, words["pattern"], shares["pattern"])
    if a["pattern"] == "logo" and a["upper_type"] in ("shirt", "dress", "coat"):
        a["pattern"] = "plain"
    a["pattern_color"] = "none"
    if a["pattern"] != "plain":
        a["pattern_color"] = choose_color(rng, palette, "extra", a["upper_color"])
    if a["upper_type"] == "dress":
        a["lower_type"], a["lower_color"] = "dress", a["upper_color"]
    else:
        a["lower_type"] = choose(rng, words["lower_type"], shares[f"lower_{gender}"])
        a["lower_color"] = choose_color(rng, palette, "lower")
        if a["lower_type"] == "jeans":
            a["lower_color"] = str(
                rng.choice(["blue", "blue", "blue", "black", "gray"])
            )
        if a["upper_type"] == "coat" and a["lower_type"] == "shorts":
            a["lower_type"] = "trousers"
    return a
