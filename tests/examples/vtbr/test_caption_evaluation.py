# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from examples.vtbr.caption_evaluation import held_out_images
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit


def test_an_image_that_is_query_and_gallery_is_held_out_once():
    query = (PersonImage("a", 0, 0, ("a man",)), PersonImage("b", 1, 0))
    gallery = (*query, PersonImage("c", 1, 1, ("a woman",)))
    split = ReIDSplit("test", "root", (), query, gallery)
    assert [image.path for image in held_out_images(split)] == ["a", "c"]
    assert held_out_images(None) == ()
