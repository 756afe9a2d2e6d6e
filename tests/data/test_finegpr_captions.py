# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import re

import numpy as np
import pytest
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.finegpr_captions import (
    finegpr_facts,
    FINEGPR_VOCABULARY,
    plain,
    Scene,
    scene_first,
    there_is,
    view_of_degrees,
    view_within,
    VIEWS,
    write_finegpr_captions,
    Writer,
)
from torchmultimodal_reid.data.finegpr_names import ATTRIBUTES
from torchmultimodal_reid.data.synthetic.told import told_attributes

YOUNG_MALE = {
    "gender": "male",
    "age": "teenager",
    "hair_length": "short",
    "upper_color": "blue",
    "lower_color": "blue",
    "shoes": "light",
}
SCENE = Scene("front", "overcast", "noon")


def write(shape, facts=YOUNG_MALE, scene=SCENE):
    return shape(Writer(np.random.default_rng(0), facts, {}), scene)


def people(count, seed=0):
    """Random persons of whom some attributes are not known."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        person = {name: str(rng.choice(v)) for name, v in FINEGPR_VOCABULARY.items()}
        hidden = [name for name in list(person)[2:] if rng.random() < 0.2]
        yield {name: person[name] for name in person if name not in hidden}


def test_the_four_shapes():
    clothes = "blue upper-body clothes, blue lower-body clothes and light shoes"
    assert write(there_is) == (
        f"there is a young male with short hair, who wears {clothes} in an overcast noon, and with front viewpoint."
    )
    assert write(scene_first) == (
        "in an overcast noon, when looking from the front, a young male, who has short hair, "
        f"wears {clothes}."
    )
    assert write(view_within) == (
        f"in an overcast noon, a young male, who with front viewpoint, has short hair and wears {clothes}."
    )
    woman = {
        "gender": "female",
        "age": "adult",
        "upper_color": "blue",
        "lower_color": "white",
    }
    assert (
        write(plain, woman)
        == "a female adult wears blue upper-body clothes and white lower-body clothes."
    )


def test_what_is_told_is_read_back():
    rng = np.random.default_rng(1)
    count = 0
    for number, person in enumerate(people(500)):
        scene = Scene(VIEWS[number % 4], "sunny", "forenoon")
        for caption in write_finegpr_captions(person, scene, 6, rng):
            assert set(caption.told.items()) <= set(person.items())
            assert told_attributes(caption.text) == caption.told, caption.text
            count += 1
    assert count == 3000


def test_a_draw_is_a_function_of_the_generator():
    def write_all():
        return [
            write_finegpr_captions(person, SCENE, 3, np.random.default_rng(2))
            for person in people(5)
        ]

    assert write_all() == write_all()


def test_sentences_differ_and_leave_things_out():
    person = next(people(1))
    captions = write_finegpr_captions(person, SCENE, 200, np.random.default_rng(0))
    assert len({re.split("[ ,]", caption.text)[0] for caption in captions}) == 3
    assert len({frozenset(caption.told) for caption in captions}) > 10


@pytest.mark.parametrize(
    "degrees, view",
    [(90, "front"), (180, "right"), (270, "back"), (0, "left"), (130, "front")],
)
def test_viewpoints(degrees, view):
    assert view_of_degrees(degrees) == view


def test_the_front_can_be_elsewhere():
    assert view_of_degrees(0, front=0) == "front"


def test_attributes_of_the_reader_become_facts():
    person = {name: values[0] for name, values in ATTRIBUTES.items()}
    facts = finegpr_facts({**person, "scene": "urban"})
    assert facts == {
        "gender": "male",
        "hair_length": "long",
        "age": "teenager",
        "glasses": "glasses",
        "sleeve": "short",
        "dress": "dress",
        "footwear": "boots",
        "hat": "hat",
        "bag": "bag",
        "shoes": "dark",
        "upper_color": "black",
        "lower_color": "black",
    }
    for name, values in ATTRIBUTES.items():
        for value in values:
            for ours, word in finegpr_facts({name: value}).items():
                assert word in FINEGPR_VOCABULARY[ours]
    with pytest.raises(
        DataError, match="attribute hat is '1', expected one of yes, no"
    ):
        finegpr_facts({"hat": "1"})


@pytest.mark.parametrize(
    "change, text",
    [
        (
            {"upper_color": "pink"},
            "attribute upper_color is 'pink', expected one of black",
        ),
        ({"colour": "red"}, "unknown attribute 'colour', expected some of gender"),
    ],
)
def test_bad_attributes(change, text):
    with pytest.raises(DataError, match=text):
        write_finegpr_captions(
            {**YOUNG_MALE, **change}, SCENE, 1, np.random.default_rng(0)
        )


def test_what_a_sentence_needs():
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="needs the attribute age, got gender"):
        write_finegpr_captions({"gender": "male"}, SCENE, 1, rng)
    with pytest.raises(DataError, match="unknown view 'above', expected front, right"):
        write_finegpr_captions(YOUNG_MALE, SCENE._replace(view="above"), 1, rng)
