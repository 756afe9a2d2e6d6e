# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math

import numpy as np
import pytest
from torchmultimodal_reid.data.synthetic.camera import camera_of, place_of
from torchmultimodal_reid.data.synthetic.identity import sample_identity
from torchmultimodal_reid.data.synthetic.palette import palette_of
from torchmultimodal_reid.data.synthetic.parts import Pose
from torchmultimodal_reid.data.synthetic.render import render, render_shot, world_of
from torchmultimodal_reid.data.synthetic.shot import sample_shot, Shot
from torchmultimodal_reid.data.synthetic.weather import HOURS, WEATHERS

SIZE = (64, 32)
MAGENTA = np.array([0.95, 0.05, 0.9])


@pytest.fixture(scope="module")
def world():
    return world_of(0, 2)


@pytest.fixture
def person():
    bare = sample_identity(0, 0, 1, palette_of(0))
    plain = {
        "hat": "none",
        "bag": "none",
        "glasses": "none",
        "pattern": "plain",
        "upper_type": "t-shirt",
        "sleeve": "short",
    }
    return bare._replace(
        attributes={**bare.attributes, **plain, "lower_type": "trousers"}
    )


def take(person, world, yaw=0.0, bag_side=1, weather="neutral", occluded=False, seed=0):
    camera = world.cameras[0]._replace(noise=0.0, blur=0.0)
    pose = Pose(yaw=yaw, phase=0.5, stride=0.5, bag_side=bag_side, gesture=0)
    shot = Shot(
        pose, weather, "noon", camera.near, 0.0, (0.0, 0.0, 1.0, 1.03), occluded
    )
    return render_shot(
        person, shot, camera, world.scenes[0], SIZE, np.random.default_rng(seed)
    )


def is_magenta(pixels):
    red, green, blue = pixels.astype(float).transpose(2, 0, 1)
    return (red > 1.7 * green) & (blue > 1.7 * green)


def with_attributes(person, **attributes):
    return person._replace(attributes={**person.attributes, **attributes})


def test_picture_has_the_size_and_the_whole_person(person, world):
    picture = take(person, world)
    assert picture.pixels.shape == (64, 32, 3) and picture.pixels.dtype == np.uint8
    assert sum(picture.visible.values()) == pytest.approx(1)
    for surface in ("skin", "hair", "upper", "lower", "shoes"):
        assert picture.visible[surface] > 0.01, surface


@pytest.mark.parametrize("yaw, seen", [(0.0, True), (math.pi, False)])
def test_the_face_is_seen_from_the_front_only(person, world, yaw, seen):
    visible = take(with_attributes(person, glasses="glasses"), world, yaw=yaw).visible
    assert (visible["glasses"] > 0) == seen


@pytest.mark.parametrize("yaw, seen", [(0.0, True), (math.pi, False)])
def test_the_logo_is_on_the_chest(person, world, yaw, seen):
    printed = with_attributes(person, pattern="logo", pattern_color="red")
    assert (take(printed, world, yaw=yaw).visible["pattern"] > 0) == seen


def test_the_backpack_is_on_the_back(person, world):
    carrier = with_attributes(person, bag="backpack", bag_color="red")
    assert (
        take(carrier, world, yaw=math.pi).visible["bag"]
        > 3 * take(carrier, world, yaw=0.0).visible["bag"]
        > 0
    )


@pytest.mark.parametrize("bag", ["handbag", "shoulder bag"])
@pytest.mark.parametrize("yaw, right", [(0.0, True), (math.pi, False)])
def test_the_left_bag_is_right_in_the_picture_from_the_front(
    person, world, bag, yaw, right
):
    carrier = with_attributes(person, bag=bag, bag_color="pink")
    carrier = carrier._replace(dyes={**carrier.dyes, "bag": MAGENTA})
    magenta = is_magenta(take(carrier, world, yaw=yaw, bag_side=1).pixels)
    # below the chest, where no strap is
    columns = np.nonzero(magenta[32:])[1]
    assert columns.size > 3
    assert (columns.mean() > 15.5) == right


def test_facing_right_shows_the_brim_on_the_right(person, world):
    capped = with_attributes(person, hat="cap", hat_color="pink")
    capped = capped._replace(dyes={**capped.dyes, "hat": MAGENTA})
    for yaw, sign in ((math.pi / 2, 1), (-math.pi / 2, -1)):
        rows, columns = np.nonzero(is_magenta(take(capped, world, yaw=yaw).pixels))
        top, bottom = (
            columns[rows == rows.min()].mean(),
            columns[rows == rows.max()].mean(),
        )
        assert sign * (bottom - top) > 0


def test_an_occluder_hides_some_of_the_person_but_not_most(person, world):
    shares = [
        sum(take(person, world, occluded=True, seed=seed).visible.values())
        for seed in range(40)
    ]
    assert min(shares) > 0.4
    assert min(shares) < 0.85


def test_bystanders_do_not_count_as_the_person(person, world):
    camera = world.cameras[0]._replace(crowd=1.0, occluders=0.0)
    shots = [sample_shot(camera, np.random.default_rng(seed)) for seed in range(12)]
    in_front = next(shot for shot in shots if shot.beside.behind < 0)
    behind = next(shot for shot in shots if shot.beside.behind > 0)
    other = sample_identity(0, 0, 2, palette_of(0))

    def seen(shot):
        rng = np.random.default_rng(0)
        return sum(
            render_shot(
                person, shot, camera, world.scenes[0], SIZE, rng, other
            ).visible.values()
        )

    assert seen(behind) == pytest.approx(1)
    assert 0.3 < seen(in_front) <= 1


@pytest.mark.parametrize("weather", list(WEATHERS))
def test_no_weather_or_hour_hides_the_person(person, world, weather):
    for hour in HOURS:
        camera = world.cameras[0]
        pose = Pose(0.0, 0.5, 0.5, 1, 0)
        shot = Shot(pose, weather, hour, camera.near, 0.0, (0.0, 0.0, 1.0, 1.03), False)
        pixels = render_shot(
            person, shot, camera, world.scenes[0], SIZE, np.random.default_rng(0)
        ).pixels
        assert 25 < pixels.mean() < 230
        assert pixels.std() > 8


def test_an_image_is_a_function_of_its_keys_and_size():
    keys = (0, 0, 2, 5, 1, 2)
    _, one = render(*keys, SIZE)
    _, two = render(*keys, SIZE)
    np.testing.assert_array_equal(one.pixels, two.pixels)
    for place, value in ((0, 1), (1, 1), (3, 6), (4, 0), (5, 3)):
        other = list(keys)
        other[place] = value
        assert (render(*other, SIZE)[1].pixels != one.pixels).mean() > 0.3, place


def test_more_cameras_leave_the_others_as_they_are():
    np.testing.assert_array_equal(
        render(0, 0, 2, 5, 1, 0, SIZE)[1].pixels,
        render(0, 0, 3, 5, 1, 0, SIZE)[1].pixels,
    )


def test_cameras_and_places_differ():
    assert place_of(0) != place_of(1)
    assert camera_of(0, 0) != camera_of(0, 1)
    assert camera_of(0, 0) != camera_of(1, 0)
    assert camera_of(0, 0) == camera_of(0, 0)
