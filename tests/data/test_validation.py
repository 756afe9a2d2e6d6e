# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.validation import check_split, split_validation


def images(identities, cameras, per_camera=2):
    return [
        PersonImage(f"{identity}_{camera}_{number}", identity, camera)
        for identity in identities
        for camera in cameras
        for number in range(per_camera)
    ]


class TestSplitValidation:
    def test_cuts_by_identity(self):
        everything = images(range(10), (0, 1, 2))
        split = split_validation(everything, 0.3, seed=0)
        train = {image.identity for image in split.train}
        held_out = {image.identity for image in split.gallery}
        assert len(train) == 7 and len(held_out) == 3 and not train & held_out
        assert sorted(split.train + split.gallery) == sorted(everything)

    def test_one_query_for_each_identity_and_camera(self):
        split = split_validation(images(range(4), (0, 1, 2)), 0.5, seed=0)
        views = [(image.identity, image.camera) for image in split.query]
        assert len(views) == len(set(views)) == 2 * 3
        assert set(split.query) <= set(split.gallery)
        assert check_split(split).queries_without_match == ()

    def test_no_query_for_an_identity_of_one_camera(self):
        everything = images((1, 2, 3, 4), (0, 1)) + images((5, 6, 7, 8), (0,))
        split = split_validation(everything, 0.7, seed=1)
        assert {i.identity for i in split.query} == {
            i.identity for i in split.gallery if i.identity <= 4
        }

    def test_is_decided_by_the_seed_alone(self):
        everything = images(range(50), (0, 1))
        assert split_validation(everything, 0.2, 3) == split_validation(
            everything, 0.2, 3
        )
        assert split_validation(everything, 0.2, 3) != split_validation(
            everything, 0.2, 4
        )

    @pytest.mark.parametrize("share, held_out", [(0.01, 1), (0.99, 3)])
    def test_leaves_an_identity_on_both_sides(self, share, held_out):
        split = split_validation(images(range(4), (0, 1)), share, seed=0)
        assert len({image.identity for image in split.gallery}) == held_out

    @pytest.mark.parametrize("share", [0, 1, -0.5, 1.5])
    def test_share_out_of_bounds(self, share):
        with pytest.raises(ValueError, match="share must be between 0 and 1"):
            split_validation(images(range(4), (0, 1)), share, seed=0)

    def test_too_few_identities(self):
        with pytest.raises(DataError, match="at least 2, got 1 in 4 images"):
            split_validation(images([3], (0, 1)), 0.5, seed=0)

    def test_without_the_camera_filter_every_image_is_a_query(self):
        split = split_validation(images(range(4), [0]), 0.5, 0, camera_filter=False)
        assert split.query == split.gallery and len(split.query) == 4

    def test_one_camera(self):
        with pytest.raises(DataError, match="2 identities held out .*two cameras"):
            split_validation(images(range(4), [0]), 0.5, seed=0)


TRAIN = (PersonImage("t", 1, 0),)


class TestCheckSplit:
    def split(self, query, gallery, train=TRAIN):
        return ReIDSplit("mine", "", tuple(train), tuple(query), tuple(gallery))

    def test_query_and_gallery_sharing_all_cameras(self):
        query, gallery = images([5, 6], [0], 1), images([5, 6], [0], 3)
        with pytest.raises(DataError) as error:
            check_split(self.split(query, gallery))
        assert "mine: query and gallery share all cameras (camera 0)" in str(
            error.value
        )
        assert "none of the 2 queries" in str(error.value)
        assert "different camera numbers" in str(error.value)

    def test_each_identity_in_its_own_camera(self):
        # several cameras, and yet every match is of the query's own
        query = [PersonImage("q", 5, 0), PersonImage("r", 6, 1)]
        gallery = [PersonImage("g", 5, 0), PersonImage("h", 6, 1)]
        with pytest.raises(DataError, match=r"share all cameras \(camera 0, 1\)"):
            check_split(self.split(query, gallery))

    def test_cameras_do_not_matter_without_their_filter(self):
        query, gallery = images([5, 6], [0], 1), images([5], [0], 3)
        report = check_split(self.split(query, gallery), camera_filter=False)
        assert report == (2, ("6_0_0",), ())
        with pytest.raises(DataError, match="share no identity"):
            check_split(self.split(query, images([7], [0])), camera_filter=False)

    def test_reports_what_it_allows(self):
        query = [PersonImage("q", 5, 0), PersonImage("r", 1, 1)]
        gallery = [PersonImage("g", 5, 1), PersonImage("h", 1, 1)]
        report = check_split(self.split(query, gallery))
        assert report == (2, ("r",), (1,))

    def test_no_identity_in_common(self):
        query, gallery = images([5], (0, 1)), images([6], (0, 1))
        with pytest.raises(DataError, match=r"share no identity \(queries: 5\)"):
            check_split(self.split(query, gallery))

    def test_part_without_images(self):
        with pytest.raises(DataError, match="mine: the gallery part has no images"):
            check_split(self.split(images([5], [0]), []))
