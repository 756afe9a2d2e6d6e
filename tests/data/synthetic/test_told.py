# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import numpy as np
import pytest
from torchmultimodal_reid.data.synthetic.captions import STYLES, write_captions
from torchmultimodal_reid.data.synthetic.identity import sample_identity
from torchmultimodal_reid.data.synthetic.palette import palette_of
from torchmultimodal_reid.data.synthetic.parts import Pose, SURFACES
from torchmultimodal_reid.data.synthetic.render import Picture
from torchmultimodal_reid.data.synthetic.shot import Shot
from torchmultimodal_reid.data.synthetic.told import told_attributes
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer


def draw_captions(domain, people, style="varied"):
    """Eight captions of each person, seen from anywhere, with some surfaces hidden."""
    palette = palette_of(domain)
    for number in range(people):
        person = sample_identity(0, domain, number, palette)
        rng = np.random.default_rng(number)
        seen = {name: 0.0 if rng.random() < 0.12 else 0.08 for name in SURFACES}
        pose = Pose(
            rng.uniform(-3.1, 3.1), rng.random(), 0.8, 1 if number % 2 else -1, 0
        )
        shot = Shot(pose, "sunny", "noon", 5.0, 0.0, (0, 0, 1, 1), False)
        picture = Picture(np.zeros((2, 1, 3), np.uint8), shot, seen)
        yield from write_captions(person, picture, 8, rng, style)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("domain", [0, 1, 2])
def test_gives_back_what_the_writer_told(domain, style):
    captions = list(draw_captions(domain, 150, style))
    assert len(captions) == 1200
    for caption in captions:
        assert told_attributes(caption.text) == caption.told, caption.text


def test_a_tokeniser_changes_nothing():
    captions = list(draw_captions(0, 60))
    tokenizer = WordPieceTokenizer.train([c.text for c in captions], 400)
    for caption in captions:
        decoded = tokenizer.decode(tokenizer.encode(caption.text))
        assert told_attributes(decoded) == caption.told, decoded


@pytest.mark.parametrize(
    "caption, told",
    [
        ("", {}),
        ("A person with a dog.", {}),
        (
            "She wears a red T - shirt , and grey short pants.",
            {
                "gender": "female",
                "upper_color": "red",
                "upper_type": "t-shirt",
                "lower_color": "gray",
                "lower_type": "shorts",
            },
        ),
        ("a blue hat", {"hat": "hat", "hat_color": "blue"}),
        (
            "a blue hat with a wide brim",
            {"hat": "brimmed hat", "hat_color": "blue"},
        ),
        ("this person carries no bag", {"bag": "none"}),
        # the first of two counts
        (
            "a red coat and a green sweater",
            {"upper_color": "red", "upper_type": "coat"},
        ),
        ("dark glasses and dark shoes", {"glasses": "glasses", "shoes": "dark"}),
    ],
)
def test_other_captions(caption, told):
    assert told_attributes(caption) == told
