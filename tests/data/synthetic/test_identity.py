# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import colorsys

import numpy as np
import pytest
from torchmultimodal_reid.data.synthetic.attributes import COLORS, VOCABULARY
from torchmultimodal_reid.data.synthetic.identity import sample_identity
from torchmultimodal_reid.data.synthetic.palette import palette_of
from torchmultimodal_reid.data.synthetic.parts import SURFACES


@pytest.fixture(scope="module")
def people():
    palette = palette_of(0)
    return [sample_identity(0, 0, number, palette) for number in range(300)]


def test_attributes_are_words_of_the_vocabulary(people):
    for person in people:
        assert list(person.attributes) == list(VOCABULARY)
        for name, value in person.attributes.items():
            assert value in VOCABULARY[name]


def test_every_value_occurs_in_every_domain():
    for domain in (0, 1):
        palette = palette_of(domain)
        people = [sample_identity(0, domain, n, palette) for n in range(600)]
        for name, values in VOCABULARY.items():
            assert {p.attributes[name] for p in people} == set(values), (domain, name)


def test_attributes_agree_with_each_other(people):
    for a in (person.attributes for person in people):
        assert (a["hat"] == "none") == (a["hat_color"] == "none")
        assert (a["bag"] == "none") == (a["bag_color"] == "none")
        assert (a["pattern"] == "plain") == (a["pattern_color"] == "none")
        assert (a["upper_type"] == "dress") == (a["lower_type"] == "dress")
        if a["upper_type"] == "dress":
            assert a["upper_color"] == a["lower_color"]
        assert a["pattern_color"] != a["upper_color"]


def test_a_person_is_a_function_of_its_keys():
    palette = palette_of(3)
    one, two = sample_identity(1, 3, 7, palette), sample_identity(1, 3, 7, palette)
    assert one.attributes == two.attributes and one.traits == two.traits
    for keys in ((2, 3, 7), (1, 4, 7), (1, 3, 8)):
        assert sample_identity(*keys, palette).traits != one.traits


def test_people_in_the_same_fashion_still_differ(people):
    clothes = (
        "gender",
        "upper_type",
        "upper_color",
        "pattern",
        "pattern_color",
        "lower_type",
        "lower_color",
    )
    groups = {}
    for person in people:
        groups.setdefault(
            tuple(person.attributes[name] for name in clothes), []
        ).append(person)
    largest = max(groups.values(), key=len)
    assert len(largest) > 3
    dyes = np.stack([person.dyes["upper"] for person in largest])
    assert len(np.unique(dyes, axis=0)) == len(largest)


def test_dyes_stay_within_their_names(people):
    for person in people:
        assert set(person.dyes) == set(SURFACES)
        for surface in ("upper", "shoes"):
            name = person.attributes[f"{surface}_color"]
            hue, _, value = colorsys.rgb_to_hsv(*person.dyes[surface])
            if name in ("black", "white", "gray"):
                low, high = {"black": (0, 0.2), "gray": (0.3, 0.65), "white": (0.7, 1)}[
                    name
                ]
                assert low <= value <= high
            else:
                apart = abs(hue - colorsys.rgb_to_hsv(*COLORS[name])[0])
                # orange and yellow are 0.07 apart
                assert min(apart, 1 - apart) < 0.05


def test_domains_differ_in_their_palettes():
    one, two = palette_of(0), palette_of(1)
    assert np.abs(one.colors["upper"] - two.colors["upper"]).sum() > 0.2
    assert one.fashions != two.fashions
    for share in (*one.colors.values(), *one.shares.values()):
        assert share.sum() == pytest.approx(1)
