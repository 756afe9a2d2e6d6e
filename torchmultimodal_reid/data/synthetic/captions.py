# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Writes captions of a picture from what it shows."""

import math
from typing import Dict, List, NamedTuple, Tuple

import numpy as np
from torchmultimodal_reid.data.synthetic import phrases
from torchmultimodal_reid.data.synthetic.complete_caption import complete
from torchmultimodal_reid.data.synthetic.finegpr_forms import (
    finegpr_in_a,
    finegpr_plain,
    finegpr_there_is,
)
from torchmultimodal_reid.data.synthetic.identity import Identity
from torchmultimodal_reid.data.synthetic.phrases import an
from torchmultimodal_reid.data.synthetic.render import Picture
from torchmultimodal_reid.data.synthetic.teller import join, Teller
from torchmultimodal_reid.data.synthetic.visibility import tellable, view_of

# as people write, each something else and in a form of its own; or one form that leaves nothing out
STYLES = ("varied", "complete")


class Caption(NamedTuple):
    """A sentence about a picture.

    Args:
        text (str): The sentence.
        told (Dict[str, str]): Exactly the attributes of the identity that it tells, with their values. Words about
            the view, the side, the weather and the hour are not among them: they do not say who it is.
    """

    text: str
    told: Dict[str, str]


def write_captions(
    identity: Identity,
    picture: Picture,
    count: int,
    rng: np.random.Generator,
    style: str = "varied",
) -> List[Caption]:
    """Writes ``count`` captions.

    Args:
        identity (Identity): The person.
        picture (Picture): The picture; what it hides is not told.
        count (int): How many captions.
        rng (numpy.random.Generator): Draws forms, words and omissions.
        style (str): One of :data:`STYLES`. Default: ``"varied"``.

    Returns:
        List[Caption]: The captions.
    """
    facts = tellable(identity, picture.shot.pose, picture.visible)
    captions = []
    for _ in range(count):
        teller = Teller(rng, facts, picture.shot)
        form = complete
        if style == "varied":
            form = _FORMS[int(rng.choice(len(_FORMS), p=_SHARES))]
        text = form(teller)
        captions.append(Caption(text[0].upper() + text[1:], teller.told))
    return captions


def _clothes(teller: Teller, shoes: float) -> str:
    """Upper and lower clothes and, in some captions, shoes; seldom one of the two is left out."""
    skip = teller.rng.random()
    both = "upper_color" in teller.facts and "lower_color" in teller.facts
    both &= teller.facts.get("lower_type") != "dress"
    top = teller.maybe(phrases.upper, 0.0 if both and skip < 0.06 else 1.0)
    bottom = teller.maybe(phrases.lower, 0.0 if both and skip > 0.88 else 1.0)
    items = [top, bottom, teller.maybe(phrases.shoes, shoes)]
    return join(items) or teller.pick("casual clothes", "everyday clothes")


def _bag(teller: Teller, share: float) -> str:
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


def _extras(teller: Teller, share: float) -> List[str]:
    """Clauses with verbs about hat, glasses and bag."""
    wears = join(
        [teller.maybe(phrases.hat, share), teller.maybe(phrases.glasses, share)]
    )
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


def _view(teller: Teller) -> str:
    side = view_of(teller.shot.pose)
    if side == "front":
        return teller.pick(
            "facing the camera", "seen from the front", "coming towards the camera"
        )
    if side == "back":
        return teller.pick(
            "seen from behind",
            "with the back to the camera",
            "going away from the camera",
        )
    moves = "walking" if teller.shot.pose.stride > 0.3 else "standing and looking"
    return teller.pick(
        f"{moves} to the {side}", f"facing {side}", f"seen from the {side} side"
    )


def _plain(teller: Teller) -> str:
    who = an(teller.use(phrases.person(teller.rng, teller.facts)))
    hair = teller.maybe(phrases.hair, 0.2)
    text = who + (f" with {hair}" if hair else "")
    text += (
        teller.pick(" wears ", " is wearing ", " wearing ", " is dressed in ")
        + _clothes(teller, 0.15)
        + "."
    )
    extras = _extras(teller, 0.3)
    if extras:
        text += f" {teller.pronoun()} {join(extras)}."
    return text


def _view_first(teller: Teller) -> str:
    who = teller.use(phrases.person(teller.rng, teller.facts))
    text = f"{teller.pick('the', 'this')} {who}, {_view(teller)}, has on {_clothes(teller, 0.12)}"
    extras = _extras(teller, 0.25)
    text += f" and {join(extras)}." if extras else "."
    hair = teller.maybe(phrases.hair, 0.15)
    return text + (f" The hair is {hair[:-5]}." if hair else "")


def _clothes_first(teller: Teller) -> str:
    clothes = _clothes(teller, 0.12)
    who = teller.use(phrases.person(teller.rng, teller.facts))
    text = f"{teller.pick('dressed in', 'wearing', 'in')} {clothes}, {teller.pick('this', 'the')} {who}"
    extras = _extras(teller, 0.25)
    return f"{text} {join(extras) if extras else 'is ' + _view(teller)}."


def _short(teller: Teller) -> str:
    who = an(teller.use(phrases.person(teller.rng, teller.facts)))
    bag = _bag(teller, 0.25)
    return f"{who} in {_clothes(teller, 0.08)}{' with ' + bag if bag else ''}."


def _two_sentences(teller: Teller) -> str:
    who = teller.use(phrases.person(teller.rng, teller.facts))
    hair = teller.maybe(phrases.hair, 0.3)
    text = f"{teller.pick('a picture of', 'there is', 'we see')} {an(who)}"
    text += f" with {hair}" if hair else f" {_view(teller)}"
    text += f". {teller.pronoun()} {teller.pick('wears', 'is wearing')} {_clothes(teller, 0.2)}."
    if "skin" in teller.facts and teller.chance(0.12):
        teller.told["skin"] = teller.facts["skin"]
        text += f" The skin is {teller.facts['skin']}."
    extras = _extras(teller, 0.3)
    return text + (f" {teller.pronoun()} {join(extras)}." if extras else "")


_TABLE: Tuple = (
    (_plain, 0.28),
    (_view_first, 0.14),
    (_clothes_first, 0.14),
    (_short, 0.22),
    (_two_sentences, 0.14),
    (finegpr_plain, 0.04),
    (finegpr_there_is, 0.02),
    (finegpr_in_a, 0.02),
)
_FORMS = [form for form, _ in _TABLE]
_SHARES = np.array([share for _, share in _TABLE])
