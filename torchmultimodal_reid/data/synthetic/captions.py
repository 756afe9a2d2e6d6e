# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Writes captions of a picture from what it shows."""

import math
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from torchmultimodal_reid.data.synthetic import phrases
from torchmultimodal_reid.data.synthetic.attributes import Identity
from torchmultimodal_reid.data.synthetic.phrases import an, Facts, Phrase, say
from torchmultimodal_reid.data.synthetic.render import Picture, Shot
from torchmultimodal_reid.data.synthetic.visibility import tellable, view_of


class Caption(NamedTuple):
    """A sentence about a picture.

    Args:
        text (str): The sentence.
        told (Dict[str, str]): Exactly the attributes of the identity that it tells, with their values. Words about
            the view, the side, the weather and the hour are not among them: they do not say who it is.
    """

    text: str
    told: Dict[str, str]


class _Teller:
    """Collects what the phrases of one caption tell."""

    def __init__(self, rng: np.random.Generator, facts: Facts, shot: Shot) -> None:
        self.rng = rng
        self.facts = facts
        self.shot = shot
        self.told: Dict[str, str] = {}

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, *texts: str) -> str:
        return texts[int(self.rng.integers(len(texts)))]

    def use(self, phrase: Optional[Phrase]) -> str:
        if phrase is None:
            return ""
        self.told.update(phrase.told)
        return phrase.text

    def maybe(self, make: phrases.Maker, share: float) -> str:
        # the phrase is drawn in any case, so that its absence does not change the draws that follow
        phrase = make(self.rng, self.facts)
        return self.use(phrase) if self.chance(share) else ""

    def pronoun(self) -> str:
        if "gender" not in self.told:
            return self.pick("The person", "This pedestrian")
        return "He" if self.told["gender"] == "male" else "She"


def write_captions(identity: Identity, picture: Picture, count: int, rng: np.random.Generator) -> List[Caption]:
    """Writes ``count`` captions, each in a form of its own.

    Args:
        identity (Identity): The person.
        picture (Picture): The picture; what it hides is not told.
        count (int): How many captions.
        rng (numpy.random.Generator): Draws forms, words and omissions.

    Returns:
        List[Caption]: The captions.
    """
    facts = tellable(identity, picture.shot.pose, picture.visible)
    captions = []
    for _ in range(count):
        teller = _Teller(rng, facts, picture.shot)
        form = _FORMS[int(rng.choice(len(_FORMS), p=_SHARES))]
        text = form(teller)
        captions.append(Caption(text[0].upper() + text[1:], teller.told))
    return captions


def _join(items: Sequence[str], last: str = "and") -> str:
    items = [item for item in items if item]
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" {last} " + items[-1]


def _clothes(teller: _Teller, shoes: float) -> str:
    """Upper and lower clothes and, in some captions, shoes; seldom one of the two is left out."""
    skip = teller.rng.random()
    top = teller.maybe(phrases.upper, 0.0 if skip < 0.06 and "lower_color" in teller.facts else 1.0)
    bottom = teller.maybe(phrases.lower, 0.0 if skip > 0.88 and top else 1.0)
    items = [top, bottom, teller.maybe(phrases.shoes, shoes)]
    return _join(items) or teller.pick("casual clothes", "everyday clothes")


def _bag(teller: _Teller, share: float) -> str:
    """The bag, sometimes with its side: anatomical, or that of the picture. A flip swaps both."""
    text = teller.maybe(phrases.bag, share)
    kind, pose = teller.facts.get("bag", "none"), teller.shot.pose
    if not text or kind in ("none", "backpack") or not teller.chance(0.55):
        return text
    if teller.chance(0.5):
        side = "left" if pose.bag_side > 0 else "right"
        place = f"in the {side} hand" if kind == "handbag" else f"on the {side} hip"
        return f"{text} {place}"
    if abs(math.cos(pose.yaw)) < 0.6:
        return text
    # seen from the front, the person's left is the right of the picture
    side = "right" if pose.bag_side * math.cos(pose.yaw) > 0 else "left"
    return f"{text} on the {side} side of the picture"


def _extras(teller: _Teller, share: float) -> List[str]:
    """Clauses with verbs about hat, glasses and bag."""
    wears = _join([teller.maybe(phrases.hat, share), teller.maybe(phrases.glasses, share)])
    carries = _bag(teller, share)
    clauses = []
    if wears:
        clauses.append("wears " + wears)
    if carries:
        clauses.append(teller.pick("carries ", "has ") + carries)
    elif teller.facts.get("bag") == "none" and teller.chance(0.06):
        teller.told["bag"] = "none"
        clauses.append("carries no bag")
    return clauses


def _view(teller: _Teller) -> str:
    side = view_of(teller.shot.pose)
    if side == "front":
        return teller.pick("facing the camera", "seen from the front", "coming towards the camera")
    if side == "back":
        return teller.pick("seen from behind", "with the back to the camera", "going away from the camera")
    moves = "walking" if teller.shot.pose.stride > 0.3 else "standing and looking"
    return teller.pick(f"{moves} to the {side}", f"facing {side}", f"seen from the {side} side")


def _plain(teller: _Teller) -> str:
    who = an(teller.use(phrases.person(teller.rng, teller.facts)))
    hair = teller.maybe(phrases.hair, 0.45)
    text = who + (f" with {hair}" if hair else "")
    text += teller.pick(" wears ", " is wearing ", " wearing ", " is dressed in ") + _clothes(teller, 0.5) + "."
    extras = _extras(teller, 0.85)
    if extras:
        text += f" {teller.pronoun()} {_join(extras)}."
    return text


def _view_first(teller: _Teller) -> str:
    who = teller.use(phrases.person(teller.rng, teller.facts))
    text = f"{teller.pick('the', 'this')} {who}, {_view(teller)}, has on {_clothes(teller, 0.4)}"
    extras = _extras(teller, 0.8)
    text += f" and {_join(extras)}." if extras else "."
    hair = teller.maybe(phrases.hair, 0.35)
    return text + (f" The hair is {hair[:-5]}." if hair else "")


def _clothes_first(teller: _Teller) -> str:
    clothes = _clothes(teller, 0.45)
    who = teller.use(phrases.person(teller.rng, teller.facts))
    text = f"{teller.pick('dressed in', 'wearing', 'in')} {clothes}, {teller.pick('this', 'the')} {who}"
    extras = _extras(teller, 0.8)
    return f"{text} {_join(extras) if extras else 'is ' + _view(teller)}."


def _short(teller: _Teller) -> str:
    who = an(teller.use(phrases.person(teller.rng, teller.facts)))
    bag = _bag(teller, 0.5)
    return f"{who} in {_clothes(teller, 0.15)}{' with ' + bag if bag else ''}."


def _two_sentences(teller: _Teller) -> str:
    who = teller.use(phrases.person(teller.rng, teller.facts))
    hair = teller.maybe(phrases.hair, 0.6)
    text = f"{teller.pick('a picture of', 'there is', 'we see')} {an(who)}"
    text += f" with {hair}" if hair else f" {_view(teller)}"
    text += f". {teller.pronoun()} {teller.pick('wears', 'is wearing')} {_clothes(teller, 0.7)}."
    if "skin" in teller.facts and teller.chance(0.12):
        teller.told["skin"] = teller.facts["skin"]
        text += f" The skin is {teller.facts['skin']}."
    extras = _extras(teller, 0.85)
    return text + (f" {teller.pronoun()} {_join(extras)}." if extras else "")


def _finegpr_person(teller: _Teller, adult: bool) -> str:
    told, facts = teller.told, teller.facts
    told["gender"] = facts["gender"]
    if not adult and facts["age"] == "adult":
        return facts["gender"]
    told["age"] = facts["age"]
    if adult:
        return f"{facts['gender']} {'elder' if facts['age'] == 'older' else facts['age']}"
    return f"{'young' if facts['age'] == 'teenager' else 'old'} {facts['gender']}"


def _finegpr_clothes(teller: _Teller) -> List[str]:
    """FineGPR-C names colors of upper-body and lower-body clothes, and dark or light shoes."""
    facts, told, items = teller.facts, teller.told, []
    if "upper_color" in facts:
        told["upper_color"] = facts["upper_color"]
        length = ""
        if facts["sleeve"] != "none" and teller.chance(0.5):
            told["sleeve"] = facts["sleeve"]
            length = facts["sleeve"] + " "
        items.append(f"{length}{say(teller.rng, facts['upper_color'])} upper-body clothes")
    if "lower_color" in facts:
        told["lower_color"] = facts["lower_color"]
        items.append(f"{say(teller.rng, facts['lower_color'])} lower-body clothes")
    if "shoes" in facts:
        told["shoes"] = facts["shoes"]
        items.append(f"{facts['shoes']} shoes")
    return items or ["everyday clothes"]


def _finegpr_also(teller: _Teller) -> str:
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
    text = _join(yes) + (" but " if yes and no else "") + _join(no)
    return f", this person also {text}"


def _weather(teller: _Teller) -> str:
    return an(f"{teller.shot.weather} {teller.shot.hour}")


def _finegpr_plain(teller: _Teller) -> str:
    return f"a {_finegpr_person(teller, True)} wears {' and '.join(_finegpr_clothes(teller))}{_finegpr_also(teller)}."


def _finegpr_there_is(teller: _Teller) -> str:
    who, hair = _finegpr_person(teller, False), _finegpr_hair(teller)
    text = f"there is {an(who)}{' with ' + hair if hair else ''}, who wears {_join(_finegpr_clothes(teller))}"
    return f"{text} in {_weather(teller)}, and with {_viewpoint(teller)}{_finegpr_also(teller)}."


def _finegpr_in_a(teller: _Teller) -> str:
    who, hair = an(_finegpr_person(teller, False)), _finegpr_hair(teller)
    text = f"in {_weather(teller)}, when looking from the {view_of(teller.shot.pose)}, {who}"
    text += f", who has {hair}," if hair else ""
    return f"{text} wears {_join(_finegpr_clothes(teller))}{_finegpr_also(teller)}."


def _finegpr_hair(teller: _Teller) -> str:
    if "hair_length" not in teller.facts:
        return ""
    teller.told["hair_length"] = teller.facts["hair_length"]
    return f"{teller.facts['hair_length']} hair"


def _viewpoint(teller: _Teller) -> str:
    return f"{view_of(teller.shot.pose)} viewpoint"


_TABLE: Tuple = (
    (_plain, 0.28),
    (_view_first, 0.14),
    (_clothes_first, 0.14),
    (_short, 0.10),
    (_two_sentences, 0.14),
    (_finegpr_plain, 0.08),
    (_finegpr_there_is, 0.06),
    (_finegpr_in_a, 0.06),
)
_FORMS = [form for form, _ in _TABLE]
_SHARES = np.array([share for _, share in _TABLE])
