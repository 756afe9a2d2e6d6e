# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Sentences in the shapes of FineGPR-C."""

from typing import List

from torchmultimodal_reid.data.synthetic.phrases import an, say
from torchmultimodal_reid.data.synthetic.teller import join, Teller
from torchmultimodal_reid.data.synthetic.visibility import view_of


def _person(teller: Teller, adult: bool) -> str:
    told, facts = teller.told, teller.facts
    told["gender"] = facts["gender"]
    if not adult and facts["age"] == "adult":
        return facts["gender"]
    told["age"] = facts["age"]
    if adult:
        return (
            f"{facts['gender']} {'elder' if facts['age'] == 'older' else facts['age']}"
        )
    return f"{'young' if facts['age'] == 'teenager' else 'old'} {facts['gender']}"


def _clothes(teller: Teller) -> List[str]:
    """FineGPR-C names colors of upper-body and lower-body clothes, and dark or light shoes."""
    facts, told, items = teller.facts, teller.told, []
    if "upper_color" in facts:
        told["upper_color"] = facts["upper_color"]
        length = ""
        if facts["sleeve"] != "none" and teller.chance(0.5):
            told["sleeve"] = facts["sleeve"]
            length = facts["sleeve"] + " "
        items.append(
            f"{length}{say(teller.rng, facts['upper_color'])} upper-body clothes"
        )
    if "lower_color" in facts:
        told["lower_color"] = facts["lower_color"]
        items.append(f"{say(teller.rng, facts['lower_color'])} lower-body clothes")
    if "shoes" in facts:
        told["shoes"] = facts["shoes"]
        items.append(f"{facts['shoes']} shoes")
    return items or ["everyday clothes"]


def _also(teller: Teller) -> str:
    """What "this person also" wears, takes and carries, or does not."""
    facts, told = teller.facts, teller.told
    yes, no = [], []
    for name, verb, nothing in (
        ("glasses", "wears", "wears no glasses"),
        ("footwear", "wears", "wears no boots"),
        ("hat", "takes", "takes no hat"),
        ("bag", "carries", "carries no bag"),
    ):
        if name not in facts or not teller.chance(0.6):
            continue
        told[name] = facts[name]
        if facts[name] in ("none", "shoes"):
            no.append(nothing)
        else:
            word = facts[name]
            yes.append(f"{verb} {word if word in ('glasses', 'boots') else an(word)}")
    if not yes and not no:
        return ""
    text = join(yes) + (" but " if yes and no else "") + join(no)
    return f", this person also {text}"


def _weather(teller: Teller) -> str:
    return an(f"{teller.shot.weather} {teller.shot.hour}")


def finegpr_plain(teller: Teller) -> str:
    return f"a {_person(teller, True)} wears {' and '.join(_clothes(teller))}{_also(teller)}."


def finegpr_there_is(teller: Teller) -> str:
    who, hair = _person(teller, False), _hair(teller)
    text = f"there is {an(who)}{' with ' + hair if hair else ''}, who wears {join(_clothes(teller))}"
    return (
        f"{text} in {_weather(teller)}, and with {_viewpoint(teller)}{_also(teller)}."
    )


def finegpr_in_a(teller: Teller) -> str:
    who, hair = an(_person(teller, False)), _hair(teller)
    text = f"in {_weather(teller)}, when looking from the {view_of(teller.shot.pose)}, {who}"
    text += f", who has {hair}," if hair else ""
    return f"{text} wears {join(_clothes(teller))}{_also(teller)}."


def _hair(teller: Teller) -> str:
    if "hair_length" not in teller.facts:
        return ""
    teller.told["hair_length"] = teller.facts["hair_length"]
    return f"{teller.facts['hair_length']} hair"


def _viewpoint(teller: Teller) -> str:
    return f"{view_of(teller.shot.pose)} viewpoint"
