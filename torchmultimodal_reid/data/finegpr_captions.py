# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Writes sentences in the shapes of FineGPR-C (https://arxiv.org/abs/2110.05074) from a person's attributes."""

from typing import Callable, Dict, List, Mapping, NamedTuple, Tuple

import numpy as np
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.finegpr_names import ATTRIBUTES
from torchmultimodal_reid.data.synthetic.phrases import an, Facts, say
from torchmultimodal_reid.data.synthetic.teller import join

# what FineGPR annotates of a person, in this library's words; weather and hour are any words
FINEGPR_VOCABULARY: Mapping[str, Tuple[str, ...]] = {
    "gender": ("male", "female"),
    "age": ("teenager", "adult", "older"),
    "hair_length": ("short", "long"),
    "sleeve": ("short", "long"),
    "dress": ("none", "dress"),
    "upper_color": (
        *("black", "white", "red", "purple", "gray"),
        *("yellow", "blue", "green", "brown"),
    ),
    "lower_color": (
        *("black", "white", "red", "purple", "gray"),
        *("yellow", "blue", "green", "brown"),
    ),
    "shoes": ("dark", "light"),
    "footwear": ("shoes", "boots"),
    "hat": ("none", "hat"),
    "glasses": ("none", "glasses"),
    "bag": ("none", "bag"),
}
VIEWS = ("front", "right", "back", "left")


class Scene(NamedTuple):
    """What a sentence says beside the person."""

    view: str  # one of VIEWS: the side of the person that is seen
    weather: str  # such as "sunny"
    hour: str  # such as "forenoon"


class FineGPRCaption(NamedTuple):
    """A sentence, and exactly the attributes of the person that it tells, with their values."""

    text: str
    told: Dict[str, str]


class Writer(NamedTuple):
    """Where the parts of one sentence are drawn from, and a record of what they tell."""

    rng: np.random.Generator
    facts: Facts
    told: Dict[str, str]


Shape = Callable[[Writer, Scene], str]

# FineGPR's attributes that have another name here, and the words for "yes" and "no"
_FROM_FINEGPR: Mapping[str, Tuple[str, Mapping[str, str]]] = {
    "hair": ("hair_length", {}),
    "short_sleeve": ("sleeve", {"yes": "short", "no": "long"}),
    "boot": ("footwear", {"yes": "boots", "no": "shoes"}),
    **{
        name: (name, {"yes": name, "no": "none"})
        for name in ("dress", "hat", "glasses", "bag")
    },
}


def write_finegpr_captions(
    attributes: Facts, scene: Scene, count: int, rng: np.random.Generator
) -> List[FineGPRCaption]:
    """Writes ``count`` sentences, each in a shape of its own; the attributes' places differ, and some are left out.

    Args:
        attributes (Mapping[str, str]): Attributes and values of ``FINEGPR_VOCABULARY``. Gender and age must be given;
            what is not given is not told.
        scene (Scene): Viewpoint, weather and hour of the image.
        count (int): How many sentences.
        rng (numpy.random.Generator): Draws shapes, words and omissions.

    Returns:
        List[FineGPRCaption]: The sentences.

    Raises:
        DataError: If an attribute, a value or the view is unknown, or gender or age is missing.
    """
    _check(attributes, scene)
    captions = []
    for _ in range(count):
        writer = Writer(rng, attributes, {})
        text = SHAPES[int(rng.integers(len(SHAPES)))](writer, scene)
        captions.append(FineGPRCaption(text[0].upper() + text[1:], writer.told))
    return captions


def finegpr_facts(attributes: Mapping[str, str]) -> Dict[str, str]:
    """FineGPR's attributes, as :func:`~torchmultimodal_reid.data.finegpr.finegpr` reads them, in our words.

    Args:
        attributes (Mapping[str, str]): By the names of ``finegpr_names.ATTRIBUTES``; others are left out. The length of
            the top is left out too: "short blue upper-body clothes" tells the sleeve.

    Raises:
        DataError: If a value is not one of those of its attribute.
    """
    facts: Dict[str, str] = {}
    for name, value in attributes.items():
        known = ATTRIBUTES.get(name)
        if known is None or name == "top_length":
            continue
        if value not in known:
            raise DataError(
                f"FineGPR's attribute {name} is {value!r}, expected one of {', '.join(known)}"
            )
        ours, words = _FROM_FINEGPR.get(name, (name, {}))
        facts[ours] = words.get(value, value)
    return facts


def view_of_degrees(degrees: float, front: float = 90.0) -> str:
    """The word for one of FineGPR's 36 viewpoints, 10 degrees apart.

    Args:
        degrees (float): The viewpoint's angle: camera ``c01`` is at 90 degrees, each next one 10 further.
        front (float): The angle from which the front is seen. That of PersonX, after which FineGPR was made, is 90, its
            right is at 180; FineGPR's own papers do not say it. Default: ``90.0``
    """
    return VIEWS[int(((degrees - front + 45) % 360) // 90)]


def plain(writer: Writer, scene: Scene) -> str:
    """A female adult wears ... and ..., this person also ..."""
    person = _person(writer, adult=True)
    return f"a {person} wears {' and '.join(_clothes(writer))}{_also(writer)}."


def there_is(writer: Writer, scene: Scene) -> str:
    """There is a young male with short hair, who wears ... in a sunny noon, and with front viewpoint, ..."""
    who, hair = an(_person(writer)), _hair(writer)
    text = f"there is {who}{' with ' + hair if hair else ''}, who wears {join(_clothes(writer))}"
    return f"{text} in {_when(scene)}, and with {scene.view} viewpoint{_also(writer)}."


def scene_first(writer: Writer, scene: Scene) -> str:
    """In a sunny noon, when looking from the right, a young female, who has long hair, wears ..."""
    who, hair = an(_person(writer)), _hair(writer)
    text = f"in {_when(scene)}, when looking from the {scene.view}, {who}"
    text += f", who has {hair}," if hair else ""
    return f"{text} wears {join(_clothes(writer))}{_also(writer)}."


def view_within(writer: Writer, scene: Scene) -> str:
    """In an overcast noon, a young male, who with back viewpoint, has short hair and wears ..."""
    who, hair = an(_person(writer)), _hair(writer)
    text = f"in {_when(scene)}, {who}, who with {scene.view} viewpoint,"
    text += f" has {hair} and" if hair else ""
    return f"{text} wears {join(_clothes(writer))}{_also(writer)}."


SHAPES: Tuple[Shape, ...] = (plain, there_is, scene_first, view_within)


def _check(attributes: Facts, scene: Scene) -> None:
    for name, value in attributes.items():
        known = FINEGPR_VOCABULARY.get(name)
        if known is None:
            raise DataError(
                f"unknown attribute {name!r}, expected some of {', '.join(FINEGPR_VOCABULARY)}"
            )
        if value not in known:
            raise DataError(
                f"attribute {name} is {value!r}, expected one of {', '.join(known)}"
            )
    for name in ("gender", "age"):
        if name not in attributes:
            raise DataError(
                f"a sentence needs the attribute {name}, got {', '.join(attributes) or 'none'}"
            )
    if scene.view not in VIEWS:
        raise DataError(f"unknown view {scene.view!r}, expected {', '.join(VIEWS)}")


def _person(writer: Writer, adult: bool = False) -> str:
    """With ``adult`` the age is a noun that is always said, else an adjective that only the young and the old have."""
    told, facts = writer.told, writer.facts
    told["gender"] = facts["gender"]
    if not adult and facts["age"] == "adult":
        return facts["gender"]
    told["age"] = facts["age"]
    if adult:
        noun = "elder" if facts["age"] == "older" else facts["age"]
        return f"{facts['gender']} {noun}"
    return f"{'young' if facts['age'] == 'teenager' else 'old'} {facts['gender']}"


def _hair(writer: Writer) -> str:
    if "hair_length" not in writer.facts:
        return ""
    writer.told["hair_length"] = writer.facts["hair_length"]
    return f"{writer.facts['hair_length']} hair"


def _clothes(writer: Writer) -> List[str]:
    """FineGPR-C names colors of upper-body and lower-body clothes, and dark or light shoes."""
    rng, facts, told = writer
    items: List[str] = []
    if "upper_color" in facts:
        told["upper_color"] = facts["upper_color"]
        length = ""
        if facts.get("sleeve", "none") != "none" and rng.random() < 0.5:
            told["sleeve"] = facts["sleeve"]
            length = facts["sleeve"] + " "
        items.append(f"{length}{say(rng, facts['upper_color'])} upper-body clothes")
    if "lower_color" in facts:
        told["lower_color"] = facts["lower_color"]
        items.append(f"{say(rng, facts['lower_color'])} lower-body clothes")
    if "shoes" in facts:
        told["shoes"] = facts["shoes"]
        items.append(f"{facts['shoes']} shoes")
    return items or ["everyday clothes"]


def _also(writer: Writer) -> str:
    """What "this person also" wears, takes and carries, or does not."""
    rng, facts, told = writer
    yes, no = [], []
    for name, verb, nothing in (
        ("dress", "wears", "wears no dress"),
        ("glasses", "wears", "wears no glasses"),
        ("footwear", "wears", "wears no boots"),
        ("hat", "takes", "takes no hat"),
        ("bag", "carries", "carries no bag"),
    ):
        if name not in facts or not rng.random() < 0.6:
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


def _when(scene: Scene) -> str:
    return an(f"{scene.weather} {scene.hour}")
