# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math
import re

import numpy as np
import pytest
from torchmultimodal_reid.data.synthetic.attributes import COLORS
from torchmultimodal_reid.data.synthetic.captions import write_captions
from torchmultimodal_reid.data.synthetic.identity import sample_identity
from torchmultimodal_reid.data.synthetic.palette import palette_of
from torchmultimodal_reid.data.synthetic.parts import Pose, SURFACES
from torchmultimodal_reid.data.synthetic.phrases import WORDS
from torchmultimodal_reid.data.synthetic.render import Picture
from torchmultimodal_reid.data.synthetic.shot import Shot
from torchmultimodal_reid.data.synthetic.visibility import tellable, view_of
from torchmultimodal_reid.transforms.caption import swap_left_right

ALL_SEEN = {name: 0.08 for name in SURFACES}


def picture_of(yaw=0.0, bag_side=1, visible=ALL_SEEN):
    shot = Shot(
        Pose(yaw, 0.0, 0.8, bag_side, 0), "sunny", "noon", 5.0, 0.0, (0, 0, 1, 1), False
    )
    return Picture(np.zeros((2, 1, 3), np.uint8), shot, visible)


def people(count=60, **attributes):
    palette = palette_of(0)
    for number in range(count):
        person = sample_identity(0, 0, number, palette)
        yield person._replace(attributes={**person.attributes, **attributes})


def captions_of(person, picture, count=6, seed=0):
    return write_captions(person, picture, count, np.random.default_rng(seed))


def test_told_are_attributes_of_the_person_with_its_values():
    for number, person in enumerate(people()):
        for caption in captions_of(person, picture_of(yaw=0.1 * number)):
            assert set(caption.told.items()) <= set(person.attributes.items())


def test_told_colors_are_said_and_said_colors_are_told():
    said = {word: name for name in COLORS for word in WORDS.get(name, (name,))}
    pattern = re.compile(r"\b(" + "|".join(said) + r")\b")
    for number, person in enumerate(people()):
        for caption in captions_of(person, picture_of(yaw=0.1 * number)):
            told = {
                value
                for name, value in caption.told.items()
                if name.endswith("_color") and value != "none" and name != "hair_color"
            }
            text = caption.text
            # the color of the hair is no color of clothes
            text = re.sub(
                r"\b(black|brown|gray|grey|red|fair|blonde) (?=hair)|The hair is .*?\.",
                "",
                text,
            )
            assert {said[word] for word in pattern.findall(text)} == told, caption


@pytest.mark.parametrize(
    "attribute, value, word",
    [
        ("gender", "female", r"woman|lady|girl|female|She"),
        ("gender", "male", r"man\b|guy|boy|\bmale|He\b"),
        ("hat", "cap", r"cap"),
        ("glasses", "glasses", r"wears .*glasses"),
        ("bag", "backpack", r"backpack|rucksack"),
        ("pattern", "striped", r"strip"),
        ("footwear", "boots", r"boots"),
    ],
)
def test_a_word_is_said_exactly_when_it_is_told(attribute, value, word):
    extra = {
        "hat": {"hat_color": "red"},
        "bag": {"bag_color": "red"},
        "pattern": {"pattern_color": "pink"},
    }
    seen = 0
    for person in people(**{attribute: value}, **extra.get(attribute, {})):
        if person.attributes["upper_color"] == "pink":
            continue
        for caption in captions_of(person, picture_of(yaw=math.pi * 0.6)):
            text = re.sub(r"no glasses|no boots|no hat|no bag", "", caption.text)
            assert bool(re.search(word, text)) == (
                caption.told.get(attribute) == value
            ), caption
            seen += attribute in caption.told
    assert seen > 20


@pytest.mark.parametrize(
    "hidden, attributes",
    [
        ("hair", ["hair_length", "hair_color"]),
        ("shoes", ["shoes", "shoes_color", "footwear"]),
        ("hat", ["hat", "hat_color"]),
        ("glasses", ["glasses"]),
        ("bag", ["bag", "bag_color"]),
        ("lower", ["lower_type", "lower_color"]),
        ("skin", ["skin"]),
    ],
)
def test_what_the_picture_hides_is_not_told(hidden, attributes):
    worn = {
        "hat": "cap",
        "hat_color": "red",
        "glasses": "glasses",
        "bag": "handbag",
        "bag_color": "blue",
    }
    for person in people(lower_type="trousers", upper_type="shirt", **worn):
        for caption in captions_of(
            person, picture_of(visible={**ALL_SEEN, hidden: 0.0})
        ):
            assert not set(attributes) & set(caption.told), caption


def test_clothes_that_are_seen_are_never_left_out_altogether():
    for lower in ("trousers", "skirt"):
        for person in people(upper_type="shirt", lower_type=lower):
            for caption in captions_of(person, picture_of()):
                assert {"upper_color", "lower_color"} & set(caption.told), caption
    for person in people(upper_type="dress", lower_type="dress"):
        for caption in captions_of(person, picture_of()):
            assert "upper_color" in caption.told, caption


def test_a_hidden_top_leaves_a_caption():
    nothing = {name: 0.0 for name in SURFACES}
    for person in people(20):
        for caption in captions_of(person, picture_of(visible=nothing)):
            assert caption.text.endswith(".") and "  " not in caption.text
            assert set(caption.told) <= {"gender", "age", "build"}


def test_views_say_what_they_cannot_rule_out():
    person = next(
        people(
            1,
            bag="none",
            bag_color="none",
            pattern="plain",
            pattern_color="none",
            glasses="none",
        )
    )
    front, back = picture_of(0.0), picture_of(math.pi)
    faceless = {**ALL_SEEN, "face": 0.0, "glasses": 0.0}
    # who comes towards the camera might carry a backpack; who goes away might have a print on the chest
    assert "bag" not in tellable(person, front.shot.pose, ALL_SEEN)
    assert "bag" in tellable(person, back.shot.pose, ALL_SEEN)
    assert "pattern" in tellable(person, front.shot.pose, ALL_SEEN)
    assert "pattern" not in tellable(person, back.shot.pose, ALL_SEEN)
    assert "glasses" not in tellable(person, back.shot.pose, faceless)


def test_straps_alone_do_not_tell_the_backpack():
    person = next(people(1, bag="backpack", bag_color="red"))
    straps = {**ALL_SEEN, "bag": 0.02}
    assert "bag" not in tellable(person, picture_of(0.0).shot.pose, straps)
    assert "bag" in tellable(person, picture_of(math.pi).shot.pose, straps)


@pytest.mark.parametrize(
    "yaw, view",
    [
        (0.0, "front"),
        (0.7, "front"),
        (math.pi / 2, "right"),
        (-math.pi / 2, "left"),
        (3.0, "back"),
        (-3.0, "back"),
    ],
)
def test_view(yaw, view):
    assert view_of(Pose(yaw, 0, 0, 1, 0)) == view


def test_a_mirrored_person_gets_the_caption_with_its_sides_swapped():
    swapped = 0
    for number, person in enumerate(people(bag="handbag", bag_color="red")):
        yaw = -3.1 + 0.1 * number
        here = captions_of(person, picture_of(yaw, bag_side=1), seed=number)
        mirrored = captions_of(person, picture_of(-yaw, bag_side=-1), seed=number)
        for one, other in zip(here, mirrored):
            assert other.text == swap_left_right(one.text)
            assert other.told == one.told
            swapped += one.text != other.text
    assert swapped > 50


def test_the_side_of_the_bag_is_true():
    # the left hand is on the right side of the picture when the person comes towards the camera
    texts = " ".join(
        caption.text
        for person in people(bag="handbag", bag_color="red")
        for caption in captions_of(person, picture_of(0.0, bag_side=1))
    )
    assert "in the left hand" in texts and "on the right side of the picture" in texts
    assert (
        "in the right hand" not in texts
        and "on the left side of the picture" not in texts
    )


def test_forms_of_finegpr():
    texts = [
        caption.text
        for person in people(200)
        for caption in captions_of(person, picture_of(), 12)
    ]
    assert any(
        re.match(
            r"A (fe)?male adult wears (short |long )?\w+ upper-body clothes and", text
        )
        for text in texts
    )
    assert any("in a sunny noon, and with front viewpoint" in text for text in texts)
    assert any(
        text.startswith("In a sunny noon, when looking from the front, ")
        for text in texts
    )
    # several sentence forms, and seldom the same sentence
    assert len({text.split()[0] for text in texts}) > 6
    assert len(set(texts)) > 0.9 * len(texts)
