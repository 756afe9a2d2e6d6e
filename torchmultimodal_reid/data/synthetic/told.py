# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Reads the attributes back that a caption tells: the inverse of the caption writers."""

import re
from typing import Dict, Iterable, Mapping, Pattern

from torchmultimodal_reid.data.synthetic.attributes import COLORS, HAIR_COLORS
from torchmultimodal_reid.data.synthetic.phrases import WORDS

_UPPER_TYPES = ("t-shirt", "shirt", "sweater", "hoodie", "jacket", "coat", "dress")
_LOWER_TYPES = ("trousers", "jeans", "shorts", "skirt")
_HATS = ("cap", "beanie", "brimmed hat")
_BAGS = ("backpack", "handbag", "shoulder bag")


def told_attributes(caption: str) -> Dict[str, str]:
    """The attributes that a caption tells, in the words of ``VOCABULARY``.

    Of a caption that this library's writers wrote it gives exactly what the writer noted as told. Of another caption,
    such as a model's, it gives what is said in their words; where something is said twice, the first counts. Case,
    and spaces around punctuation, do not matter: "T-shirt" and "t - shirt" are the same. A "hat" or a "bag" of which
    no kind is told has the value ``"hat"`` or ``"bag"``; a dress without its colour is FineGPR's attribute ``dress``.

    Args:
        caption (str): One or more sentences.

    Returns:
        Dict[str, str]: Attribute -> value; an attribute that is not told is left out. Things that are denied ("carries
        no bag") have the value ``"none"``.
    """
    text = " ".join(re.findall(r"[a-z0-9]+|[.,]", caption.lower()))
    told: Dict[str, str] = {}
    for name, (pattern, words) in _PERSON.items():
        found = pattern.search(text)
        if found:
            told[name] = words[found["word"]]
    _hair_and_skin(text, told)
    _upper(text, told)
    _lower(text, told)
    _shoes(text, told)
    _extras(text, told)
    return told


def _words(values: Iterable[str]) -> Dict[str, str]:
    """Each way to say a value -> the value, spelt as in the normalised text."""
    return {
        re.sub(r"[^a-z0-9]+", " ", word): value
        for value in values
        for word in WORDS.get(value, (value,))
    }


def _any(words: Iterable[str]) -> str:
    # the longest first, so that "short pants" is not read as pants
    return "|".join(sorted(words, key=len, reverse=True))


def _compile(text: str, **parts: Mapping[str, str]) -> Pattern[str]:
    for name, words in parts.items():
        text = text.replace(f"<{name}>", f"(?P<{name}>{_any(words)})")
    return re.compile(rf"\b{text}\b")


_COLOR, _HAIR_COLOR = _words(COLORS), _words(HAIR_COLORS)
_UPPER = {**_words(_UPPER_TYPES), "top": ""}
_LOWER = _words(_LOWER_TYPES)
_HAT, _BAG = _words((*_HATS, "hat")), _words((*_BAGS, "bag"))
_PATTERN = _words(("striped", "chequered"))
_SHOES, _GLASSES = _words(("shoes", "boots")), _words(("glasses",))
_SLEEVE = {"sleeveless": "none", "short sleeved": "short", "long sleeved": "long"}
_GENDER = {
    **dict.fromkeys(("woman", "lady", "female", "girl", "she"), "female"),
    **dict.fromkeys(("man", "guy", "male", "boy", "he"), "male"),
}
_AGE = {
    **dict.fromkeys(("teenage", "teenager", "girl", "boy", "young"), "teenager"),
    "adult": "adult",
    **dict.fromkeys(("elderly", "old", "older", "elder"), "older"),
}
_BUILD = {
    **dict.fromkeys(("slim", "thin", "slender"), "slim"),
    **dict.fromkeys(("heavy", "stout", "heavyset"), "heavy"),
}
_LENGTH = {"short": "short", "long": "long"}
_SHADE = {"dark": "dark", "light": "light"}
_PLAIN = {"plain": "plain"}

_HAIR = _compile("(?:<length> )?(?:<color> )?hair", length=_LENGTH, color=_HAIR_COLOR)
_HAIR_IS = _compile(
    "the hair is(?: <length>)?(?: <color>)?", length=_LENGTH, color=_HAIR_COLOR
)
_TOP = _compile(
    "(?:<sleeve> )?(?:<plain> )?<color>(?: and <second>)?(?: <pattern>)? <type>"
    "(?: with an? (?:<mark> )?(?P<logo>logo|print))?",
    sleeve=_SLEEVE,
    plain=_PLAIN,
    color=_COLOR,
    second=_COLOR,
    pattern=_PATTERN,
    type=_UPPER,
    mark=_COLOR,
)
_UPPER_BODY = _compile("(?:<length> )?<color> upper body", length=_LENGTH, color=_COLOR)
_LOWER_CLOTHES = _compile("<color> <type>", color=_COLOR, type=_LOWER)
_LOWER_BODY = _compile("<color> lower body", color=_COLOR)
_FEET = _compile("(?:<shade>|<color>) <type>", shade=_SHADE, color=_COLOR, type=_SHOES)
_EYES = _compile("<thing>", thing=_GLASSES)
_ON_HEAD = _compile("(?:<color> )?<thing>", color=_COLOR, thing=_HAT)
_CARRIED = _compile("(?:<color> )?<thing>", color=_COLOR, thing=_BAG)
_PERSON = {
    name: (_compile("<word>", word=words), words)
    for name, words in (("gender", _GENDER), ("age", _AGE), ("build", _BUILD))
}


def _hair_and_skin(text: str, told: Dict[str, str]) -> None:
    for found in (*_HAIR_IS.finditer(text), *_HAIR.finditer(text)):
        if found["length"]:
            told.setdefault("hair_length", found["length"])
        if found["color"]:
            told.setdefault("hair_color", _HAIR_COLOR[found["color"]])
    skin = re.search(r"\bskin is (light|medium|dark)\b", text)
    if skin:
        told["skin"] = skin.group(1)


def _upper(text: str, told: Dict[str, str]) -> None:
    found = _TOP.search(text)
    if found is None:
        body = _UPPER_BODY.search(text)
        if body:
            told["upper_color"] = _COLOR[body["color"]]
            if body["length"]:
                told["sleeve"] = body["length"]
        return
    told["upper_color"] = _COLOR[found["color"]]
    kind = _UPPER[found["type"]]
    if kind:
        told["upper_type"] = kind
    if kind == "dress":
        told.update(lower_type="dress", lower_color=told["upper_color"])
    if found["sleeve"]:
        told["sleeve"] = _SLEEVE[found["sleeve"]]
    if found["pattern"]:
        told["pattern"] = _PATTERN[found["pattern"]]
    elif found["logo"] or found["plain"]:
        told["pattern"] = "logo" if found["logo"] else "plain"
    mark = found["second"] or found["mark"]
    if mark:
        told["pattern_color"] = _COLOR[mark]


def _lower(text: str, told: Dict[str, str]) -> None:
    found = _LOWER_CLOTHES.search(text)
    body = _LOWER_BODY.search(text)
    if found and "lower_type" not in told:
        told["lower_color"] = _COLOR[found["color"]]
        told["lower_type"] = _LOWER[found["type"]]
    elif body and "lower_color" not in told:
        told["lower_color"] = _COLOR[body["color"]]


def _shoes(text: str, told: Dict[str, str]) -> None:
    for found in _FEET.finditer(text):
        if found["shade"]:
            told.setdefault("shoes", found["shade"])
        else:
            told.setdefault("shoes_color", _COLOR[found["color"]])
        if _SHOES[found["type"]] == "boots":
            told.setdefault("footwear", "boots")
    if re.search(r"\bno boots\b", text):
        told.setdefault("footwear", "shoes")
    elif re.search(r"\bboots\b", text):
        told.setdefault("footwear", "boots")


def _extras(text: str, told: Dict[str, str]) -> None:
    dress = re.search(r"\b(a|no) dress\b", text)
    if dress:
        told["dress"] = "none" if dress.group(1) == "no" else "dress"
    if _EYES.search(text):
        told["glasses"] = "none" if "no glasses" in text else "glasses"
    for name, pattern, words in (("hat", _ON_HEAD, _HAT), ("bag", _CARRIED, _BAG)):
        found = pattern.search(text)
        if f"no {name}" in text:
            told[name] = "none"
        elif found:
            told[name] = words[found["thing"]]
            if found["color"]:
                told[f"{name}_color"] = _COLOR[found["color"]]
