# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.evaluation.gallery_draws import draw_galleries
from torchmultimodal_reid.evaluation.splits import hash_splits


def split(people, root="r", shots=5):
    """Everybody with as many images under each of two cameras, all of them queries and gallery."""
    images = tuple(
        PersonImage(f"{root}/{person}_{camera}_{shot}.png", person, camera)
        for person in people
        for camera in (0, 1)
        for shot in range(shots)
    )
    return ReIDSplit("s", root, (), images, images)


def test_one_image_of_each_person_from_the_other_camera():
    whole = split([3, 1, 2])
    draws = draw_galleries(whole, 4)
    assert len(draws) == 4 * 2
    for number, draw in enumerate(draws):
        camera = number % 2
        assert draw.query == tuple(i for i in whole.query if i.camera == camera)
        assert [image.identity for image in draw.gallery] == [1, 2, 3]
        assert {image.camera for image in draw.gallery} == {1 - camera}
    assert len({draw.gallery for draw in draws}) == 8


def test_every_image_is_drawn_about_as_often_as_any_other():
    draws = draw_galleries(split(range(1, 21)), 40)
    counts = {}
    for draw in draws:
        for image in draw.gallery:
            shot = image.path[-5]
            counts[shot] = counts.get(shot, 0) + 1
    # 1,600 draws among five, deviation 16
    assert len(counts) == 5 and all(abs(n - 320) < 64 for n in counts.values())


def test_draws_follow_from_the_seed_and_the_names_alone():
    def sha256(seed=0, **more):
        return hash_splits(draw_galleries(split([1, 2, 3], **more), 2, seed))

    assert sha256() == sha256(root="elsewhere/else") != sha256(1)
    whole = split([1, 2, 3])
    turned = whole._replace(gallery=whole.gallery[::-1])
    assert draw_galleries(turned, 2) == draw_galleries(whole, 2)
    # whoever else is tested, a person's image is the same
    fewer = draw_galleries(split([1, 3]), 1)[0].gallery
    assert set(fewer) < set(draw_galleries(whole, 1)[0].gallery)


def test_what_has_no_such_galleries():
    with pytest.raises(DataError, match="identity 0 in the gallery of s; .* no distr"):
        draw_galleries(split([0, 1]), 1)
    one_camera = split([1, 2])
    one_camera = one_camera._replace(
        gallery=tuple(i for i in one_camera.gallery if i.camera == 0)
    )
    with pytest.raises(DataError, match="another camera than camera 1"):
        draw_galleries(one_camera, 1)
