# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from torchmultimodal_reid.data.errors import listed
from torchmultimodal_reid.data.sample import (
    expand_captions,
    PersonImage,
    relabel_identities,
    with_captions,
    without_captions,
)


def test_relabel_sorts_identities_as_numbers():
    images = [PersonImage("a", 100, 0), PersonImage("b", 7, 1), PersonImage("c", 23, 0)]
    # as text, "100" would come first
    assert [image.identity for image in relabel_identities(images)] == [2, 0, 1]


def test_relabel_keeps_order_and_everything_else():
    images = [PersonImage("a", 9, 3, ("x",)), PersonImage("b", 9, 1)]
    assert relabel_identities(images) == (
        PersonImage("a", 0, 3, ("x",)),
        PersonImage("b", 0, 1),
    )


def test_expand_captions_gives_one_entry_a_caption():
    told = [{"hat": "yes"}, {"coat": "red"}]
    attributes = {"attributes": {"hat": "yes", "coat": "red"}, "told": told}
    images = [
        PersonImage("a", 1, 0, ("with hat", "red coat"), attributes),
        PersonImage("b", 2, 0),
        PersonImage("c", 3, 1, ("tall",)),
    ]
    first, second, third = expand_captions(images)
    assert (first.path, first.captions) == ("a", ("with hat",))
    assert (second.path, second.captions) == ("a", ("red coat",))
    assert second.attributes == {
        "attributes": {"hat": "yes", "coat": "red"},
        "told": [{"coat": "red"}],
    }
    assert third == images[2]
    # the original is left alone
    assert attributes["told"] == told and len(told) == 2


def test_with_and_without_captions_are_complements():
    images = [PersonImage("a", 1, 0, ("x",)), PersonImage("b", 2, 0)]
    assert with_captions(images) == (images[0],)
    assert without_captions(images) == (images[1],)


def test_listed_counts_what_it_leaves_out():
    assert listed(["a", "b"], limit=2) == "a, b"
    assert listed(["a", "b", "c", "d"], limit=2) == "a, b and 2 more"
