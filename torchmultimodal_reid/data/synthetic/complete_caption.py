# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""A caption that leaves nothing out: what a model learns from that writes captions in order to see."""

from typing import Dict, List, Tuple

from torchmultimodal_reid.data.synthetic.phrases import an, PLURAL, say
from torchmultimodal_reid.data.synthetic.teller import join, Teller

_AGE = {"teenager": "teenage", "adult": "adult", "older": "older"}
_GENDER = {"female": "woman", "male": "man"}
_SLEEVE = {"none": "sleeveless", "short": "short-sleeved", "long": "long-sleeved"}


def complete(teller: Teller) -> str:
    """One sentence of one build with every attribute that can be seen, absent things among them.

    Only the words for a thing vary (sweater, pullover), so that what the next word will be is known from the picture
    or not at all.
    """
    text = an(_person(teller))
    worn = [_upper(teller), _lower(teller), _shoes(teller), *_head(teller)]
    text += f" wears {join(worn) or 'casual clothes'}"
    bag = _thing(teller, "bag")
    if bag:
        text += f" and carries {bag}"
    if "skin" in teller.facts:
        text += f". The skin is {_told(teller, 'skin')}"
    return text + "."


def _told(teller: Teller, name: str) -> str:
    teller.told[name] = teller.facts[name]
    return teller.facts[name]


def _said(teller: Teller, name: str) -> str:
    return say(teller.rng, _told(teller, name))


def _person(teller: Teller) -> str:
    words = [_AGE[_told(teller, "age")]]
    if teller.facts["build"] != "average":
        words.append(_told(teller, "build"))
    words.append(_GENDER[_told(teller, "gender")])
    if "hair_color" in teller.facts:
        length, color = _told(teller, "hair_length"), _said(teller, "hair_color")
        words.append(f"with {length} {color} hair")
    return " ".join(words)


def _upper(teller: Teller) -> str:
    facts = teller.facts
    if "upper_color" not in facts:
        return ""
    color, after = _colors(teller)
    words = [_SLEEVE[_told(teller, "sleeve")], color, _said(teller, "upper_type")]
    if facts["upper_type"] == "dress":
        dress: Dict[str, str] = {"lower_type": "dress"}
        teller.told.update(dress, lower_color=facts["upper_color"])
    return an(" ".join(words)) + after


def _colors(teller: Teller) -> Tuple[str, str]:
    """The colour and pattern before the name of the upper clothes, and what is printed on them after it."""
    color = _said(teller, "upper_color")
    if "pattern" not in teller.facts:
        return color, ""
    pattern = _told(teller, "pattern")
    if pattern == "plain":
        return f"plain {color}", ""
    second = _said(teller, "pattern_color")
    if pattern == "logo":
        return color, f" with {an(second)} logo on the chest"
    return f"{color} and {second} {say(teller.rng, pattern)}", ""


def _lower(teller: Teller) -> str:
    facts = teller.facts
    if "lower_color" not in facts or facts["lower_type"] == "dress":
        return ""
    text = f"{_said(teller, 'lower_color')} {_said(teller, 'lower_type')}"
    return text if facts["lower_type"] in PLURAL else an(text)


def _shoes(teller: Teller) -> str:
    if "shoes_color" not in teller.facts:
        return ""
    color = _said(teller, "shoes_color")
    # "shoes" may be any footwear, so they tell nothing
    boots = teller.facts["footwear"] == "boots"
    return f"{color} {_said(teller, 'footwear') if boots else say(teller.rng, 'shoes')}"


def _head(teller: Teller) -> List[str]:
    glasses = ""
    if "glasses" in teller.facts:
        worn = _told(teller, "glasses") != "none"
        glasses = say(teller.rng, "glasses") if worn else "no glasses"
    return [_thing(teller, "hat"), glasses]


def _thing(teller: Teller, name: str) -> str:
    """A hat or a bag with its colour, or that there is none; nothing where that cannot be seen."""
    if name not in teller.facts:
        return ""
    if teller.facts[name] == "none":
        _told(teller, name)
        return f"no {name}"
    color = _said(teller, f"{name}_color")
    return an(f"{color} {_said(teller, name)}")
