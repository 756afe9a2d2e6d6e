# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Pieces of captions: each a few words and exactly what they tell."""

from typing import Callable, Dict, Mapping, NamedTuple, Optional, Sequence

import numpy as np

Facts = Mapping[str, str]


class Phrase(NamedTuple):
    """Words, and the attributes that they tell."""

    text: str
    told: Dict[str, str]


WORDS: Mapping[str, Sequence[str]] = {
    "gray": ("gray", "gray", "grey"),
    "purple": ("purple", "purple", "violet"),
    "t-shirt": ("t-shirt", "tee", "tee shirt"),
    "shirt": ("shirt", "button-up shirt"),
    "sweater": ("sweater", "pullover", "jumper"),
    "hoodie": ("hoodie", "hooded sweatshirt"),
    "coat": ("coat", "overcoat"),
    "dress": ("dress", "one-piece dress"),
    "trousers": ("trousers", "pants", "slacks"),
    "jeans": ("jeans", "denim pants"),
    "shorts": ("shorts", "short pants"),
    "boots": ("boots",),
    "shoes": ("shoes", "sneakers", "shoes"),
    "cap": ("cap", "baseball cap"),
    "beanie": ("beanie", "woolly hat"),
    "brimmed hat": ("brimmed hat", "sun hat", "hat with a wide brim"),
    "backpack": ("backpack", "rucksack", "backpack"),
    "handbag": ("handbag", "purse"),
    "shoulder bag": ("shoulder bag", "messenger bag"),
    "striped": ("striped", "stripy"),
    "chequered": ("chequered", "checked", "plaid"),
    "blonde": ("blonde", "fair"),
    "glasses": ("glasses", "sunglasses", "dark glasses"),
}
PLURAL = ("trousers", "jeans", "shorts", "shoes", "boots")


def say(rng: np.random.Generator, value: str) -> str:
    """One of the words for a value."""
    words = WORDS.get(value, (value,))
    return words[int(rng.integers(len(words)))]


def an(text: str) -> str:
    """Puts the indefinite article before the words."""
    return ("an " if text[0] in "aeiou" else "a ") + text


def person(rng: np.random.Generator, facts: Facts) -> Phrase:
    """A noun for the person, without an article."""
    gender, age, told = facts["gender"], facts["age"], {}
    if rng.random() < 0.12:
        return Phrase(str(rng.choice(["person", "pedestrian"])), {})
    told["gender"] = gender
    female = gender == "female"
    nouns = (
        ["woman", "lady", "female", "woman"]
        if female
        else ["man", "guy", "male", "man"]
    )
    if age == "teenager" and rng.random() < 0.6:
        told["age"] = age
        young = (
            ["girl", "teenage girl", "young female"]
            if female
            else ["boy", "teenage boy", "young male"]
        )
        return Phrase(str(rng.choice(young)), told)
    text = str(rng.choice(nouns))
    if age == "older" and rng.random() < 0.6:
        told["age"] = age
        text = str(rng.choice(["elderly", "old", "older"])) + " " + text
    if "build" in facts and facts["build"] != "average" and rng.random() < 0.35:
        told["build"] = facts["build"]
        words = {
            "slim": ["slim", "thin", "slender"],
            "heavy": ["heavy", "stout", "heavyset"],
        }
        text = str(rng.choice(words[facts["build"]])) + " " + text
    return Phrase(text, told)


def upper(rng: np.random.Generator, facts: Facts) -> Optional[Phrase]:
    """The upper clothes, or the dress."""
    if "upper_color" not in facts:
        return None
    told: Dict[str, str] = {}
    words = []
    if (
        facts["upper_type"] != "dress"
        and rng.random() < 0.35
        or facts["sleeve"] == "none"
    ):
        told["sleeve"] = facts["sleeve"]
        words.append(
            {"none": "sleeveless", "short": "short-sleeved", "long": "long-sleeved"}[
                facts["sleeve"]
            ]
        )
    told["upper_color"] = facts["upper_color"]
    color, after = say(rng, facts["upper_color"]), ""
    pattern = facts.get("pattern", "plain")
    if pattern in ("striped", "chequered") and rng.random() < 0.8:
        told["pattern"] = pattern
        if rng.random() < 0.6:
            told["pattern_color"] = facts["pattern_color"]
            color += " and " + say(rng, facts["pattern_color"])
        color += " " + say(rng, pattern)
    elif pattern == "logo" and rng.random() < 0.7:
        told["pattern"] = pattern
        mark = str(rng.choice(["logo", "print"]))
        if rng.random() < 0.6:
            told["pattern_color"] = facts["pattern_color"]
            mark = say(rng, facts["pattern_color"]) + " " + mark
        after = f" with {an(mark)} on the chest"
    elif "pattern" in facts and pattern == "plain" and rng.random() < 0.08:
        told["pattern"] = "plain"
        color = "plain " + color
    words.append(color)
    if facts["upper_type"] == "dress":
        told.update(
            upper_type="dress", lower_type="dress", lower_color=facts["upper_color"]
        )
        words.append(say(rng, "dress"))
    elif rng.random() < 0.75:
        told["upper_type"] = facts["upper_type"]
        words.append(say(rng, facts["upper_type"]))
    else:
        words.append("top")
    return Phrase(an(" ".join(words)) + after, told)


def lower(rng: np.random.Generator, facts: Facts) -> Optional[Phrase]:
    """The lower clothes; a dress is told by :func:`upper`."""
    if "lower_color" not in facts or facts["lower_type"] == "dress":
        return None
    told = {"lower_color": facts["lower_color"], "lower_type": facts["lower_type"]}
    text = say(rng, facts["lower_color"]) + " " + say(rng, facts["lower_type"])
    if facts["lower_type"] in PLURAL:
        return Phrase(("a pair of " if rng.random() < 0.2 else "") + text, told)
    return Phrase(an(text), told)


def shoes(rng: np.random.Generator, facts: Facts) -> Optional[Phrase]:
    """Shoes or boots."""
    if "shoes_color" not in facts:
        return None
    if rng.random() < 0.3:
        told, color = {"shoes": facts["shoes"]}, facts["shoes"]
    else:
        told, color = {"shoes_color": facts["shoes_color"]}, say(
            rng, facts["shoes_color"]
        )
    if facts["footwear"] == "boots":
        told["footwear"] = "boots"
    return Phrase(color + " " + say(rng, facts["footwear"]), told)


def hair(rng: np.random.Generator, facts: Facts) -> Optional[Phrase]:
    """Length and color of the hair."""
    if "hair_color" not in facts:
        return None
    kind = rng.random()
    if kind < 0.35:
        return Phrase(
            f"{facts['hair_length']} hair", {"hair_length": facts["hair_length"]}
        )
    color = say(rng, facts["hair_color"])
    if kind < 0.55:
        return Phrase(f"{color} hair", {"hair_color": facts["hair_color"]})
    told = {"hair_length": facts["hair_length"], "hair_color": facts["hair_color"]}
    return Phrase(f"{facts['hair_length']} {color} hair", told)


def hat(rng: np.random.Generator, facts: Facts) -> Optional[Phrase]:
    """The hat, if there is one."""
    return _with_color(rng, facts, "hat")


def bag(rng: np.random.Generator, facts: Facts) -> Optional[Phrase]:
    """The bag, if there is one."""
    return _with_color(rng, facts, "bag")


def glasses(rng: np.random.Generator, facts: Facts) -> Optional[Phrase]:
    """The glasses, if there are any."""
    if facts.get("glasses", "none") == "none":
        return None
    return Phrase(say(rng, "glasses"), {"glasses": "glasses"})


def _with_color(rng: np.random.Generator, facts: Facts, thing: str) -> Optional[Phrase]:
    if facts.get(thing, "none") == "none":
        return None
    told, text = {thing: facts[thing]}, say(rng, facts[thing])
    if rng.random() < 0.8:
        told[f"{thing}_color"] = facts[f"{thing}_color"]
        text = say(rng, facts[f"{thing}_color"]) + " " + text
    return Phrase(an(text), told)


Maker = Callable[[np.random.Generator, Facts], Optional[Phrase]]
