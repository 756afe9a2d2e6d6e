# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The sets of two cameras whose protocol is the average over ten splits."""

import os
from unittest import mock

import numpy as np
import pytest
from scipy.io import savemat
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.grid import grid, grid_images
from torchmultimodal_reid.data.half_splits import half_split
from torchmultimodal_reid.data.ilids import ilids
from torchmultimodal_reid.data.ilids_vid import ilids_vid
from torchmultimodal_reid.data.prid2011 import prid2011, prid2011_images
from torchmultimodal_reid.data.viper import viper, viper_images


def identities(images):
    return sorted({image.identity for image in images})


class TestHalfSplit:
    def test_is_the_same_everywhere(self):
        # the order of blake2b hashes of the keys, which no release changes
        assert (
            half_split(range(10), split=0).train
            == half_split([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0], split=0).train
        )
        split = half_split(range(632), split=3, seed=1)
        assert len(split.train) == len(split.test) == 316
        assert sorted(split.train + split.test) == list(range(632))

    def test_split_and_seed_matter(self):
        splits = {
            half_split(range(20), split=s, seed=k) for s in (0, 1) for k in (0, 1)
        }
        assert len(splits) == 4

    def test_bad_numbers(self):
        with pytest.raises(ValueError, match="num_train must be at least 1"):
            half_split([7], split=0)
        with pytest.raises(ValueError, match="split must be 0 or more, got -1"):
            half_split([1, 2], split=-1)


class TestVIPeR:
    @pytest.fixture
    def root(self, touch_files):
        return touch_files(
            f"VIPeR/{camera}/{person:03d}_{angle}.bmp"
            for camera, angle in (("cam_a", 0), ("cam_b", 90))
            for person in (0, 1, 3, 873)
        )

    def test_halves(self, root):
        split = viper(root, split=2)
        assert len(split.train) == 4 and len(split.query) == len(split.gallery) == 2
        assert (
            {i.camera for i in split.query} == {0} != {i.camera for i in split.gallery}
        )
        assert identities(split.query) == identities(split.gallery)
        assert not set(identities(split.train)) & set(identities(split.query))
        assert split == viper(root, split=2)
        assert len(viper_images(root)[1]) == 8

    def test_other_direction_and_given_split(self, root):
        split = viper(root, query_camera=1, train_identities=[0, 873])
        assert identities(split.train) == [0, 873] and identities(split.query) == [1, 3]
        assert {i.camera for i in split.query} == {1}

    def test_bad_input(self, root, touch_files):
        with pytest.raises(ValueError, match="query_camera must be 0"):
            viper(root, query_camera=2)
        with pytest.raises(
            DataError, match="train_identities: no images of identity 5"
        ):
            viper(root, train_identities=[5])
        with pytest.raises(DataError, match="4 of 4 identities to train on"):
            viper(root, train_identities=[0, 1, 3, 873])
        touch_files(["VIPeR/cam_b/004_45.bmp"])
        with pytest.raises(DataError, match="only one camera has identity 4"):
            viper(root)
        touch_files(["VIPeR/cam_a/face.bmp"])
        with pytest.raises(DataError, match="face.bmp: .*such as 000_45.bmp"):
            viper(root)


class TestPRID:
    @pytest.fixture
    def root(self, touch_files):
        return touch_files(
            f"prid_2011/single_shot/{camera}/person_{person:04d}.png"
            for camera, people in (
                ("cam_a", (1, 2, 200, 201)),
                ("cam_b", (1, 2, 200, 201, 749)),
            )
            for person in people
        )

    def test_distractors_stay_in_the_gallery(self, root):
        split = prid2011(root, train_identities=[2])
        assert [(i.identity, i.camera) for i in split.train] == [(2, 0), (2, 1)]
        assert [(i.identity, i.camera) for i in split.query] == [(1, 0), (200, 0)]
        assert identities(split.gallery) == [1, 200, 201, 749]

    def test_numbers_above_200_are_different_people(self, root):
        found = [(i.identity, i.camera) for i in prid2011_images(root)[1]]
        assert (1201, 0) in found and (201, 1) in found and (201, 0) not in found

    def test_bad_input(self, root, touch_files):
        touch_files(["prid_2011/single_shot/cam_b/person_0003.png"])
        with pytest.raises(DataError, match="only one camera has identity 3"):
            prid2011(root)
        touch_files(["prid_2011/single_shot/cam_a/0001.png"])
        with pytest.raises(DataError, match="0001.png: .*such as person_0001.png"):
            prid2011(root)


class TestGRID:
    @pytest.fixture
    def root(self, touch_files):
        names = [f"probe/{p:04d}_1_1_1.jpeg" for p in (1, 2, 3, 4)]
        names += [f"gallery/{p:04d}_8_1_1.jpeg" for p in (1, 2, 3, 4)]
        names += ["gallery/0000_5_1_1.jpeg"]
        root = touch_files([f"underground_reid/{name}" for name in names])
        cells = np.empty((1, 2), dtype=object)
        for index, train in enumerate(([1, 2], [2, 4])):
            cells[0, index] = {"a": 1, "b": 2, "train": np.array([train])}
        self.path = os.path.join(
            root, "underground_reid", "features_and_partitions.mat"
        )
        savemat(self.path, {"trainIdxAll": cells})
        return root

    def test_published_partitions(self, root):
        split = grid(root, split=1)
        assert identities(split.train) == [2, 4] and len(split.train) == 4
        assert [(i.identity, i.camera) for i in split.query] == [(1, 0), (3, 0)]
        assert [(i.identity, i.camera) for i in split.gallery] == [
            (0, 4),
            (1, 7),
            (3, 7),
        ]

    def test_seeded(self, root):
        os.remove(self.path)
        with pytest.raises(DataError, match="partitions are missing; .* split_seed=0"):
            grid(root)
        assert len(grid(root, split_seed=0).gallery) == 3

    def test_broken_partitions(self, root):
        with pytest.raises(DataError, match="no partition 2; expected 0 to 1"):
            grid(root, split=2)
        with open(self.path, "rb") as file:
            whole = file.read()
        with open(self.path, "wb") as file:
            file.write(whole[: len(whole) // 2])
        with pytest.raises(DataError, match="partitions.mat: cut short, damaged"):
            grid(root)
        savemat(self.path, {"other": 1})
        with pytest.raises(
            DataError, match="variable trainIdxAll is missing; found other"
        ):
            grid(root)
        savemat(self.path, {"trainIdxAll": np.zeros((1, 10))})
        with pytest.raises(DataError, match=r"trainIdxAll\[0\] must be a structure"):
            grid(root)

    def test_without_scipy(self, root):
        with mock.patch.dict("sys.modules", {"scipy.io": None}):
            with pytest.raises(DataError, match=r"needs scipy; .*\[matlab\]"):
                grid(root)

    def test_bad_names(self, root, touch_files):
        touch_files(["underground_reid/gallery/0009_1_1.jpeg"])
        with pytest.raises(DataError, match="identity 9 is in only one of probe and"):
            grid_images(root)
        touch_files(["underground_reid/gallery/0001_0_1.jpeg"])
        with pytest.raises(DataError, match="0001_0_1.jpeg: .*camera .from 1"):
            grid_images(root)


class TestILIDS:
    @pytest.fixture
    def root(self, touch_files):
        return touch_files(
            f"i-LIDS_Pedestrian/Persons/{p:04d}{n:03d}.jpg"
            for p in range(1, 6)
            for n in range(1, 4)
        )

    def test_one_query_and_one_match(self, root):
        split = ilids(root, split=4)
        assert len(identities(split.train)) == 2 and len(split.train) == 6
        assert len(split.query) == len(split.gallery) == 3
        for query, match in zip(split.query, split.gallery):
            assert query.identity == match.identity and query.camera != match.camera

    def test_bad_input(self, root, touch_files, tmp_path):
        touch_files(["i-LIDS_Pedestrian/Persons/0009001.jpg"])
        with pytest.raises(DataError, match="only one image of identity 9"):
            ilids(root)
        touch_files(["i-LIDS_Pedestrian/Persons/0009.jpg"])
        with pytest.raises(DataError, match="0009.jpg: the name must be four digits"):
            ilids(root)
        with pytest.raises(DataError, match="nowhere' is not a folder"):
            ilids(str(tmp_path / "nowhere"))


class TestILIDSVid:
    @pytest.fixture
    def root(self, touch_files):
        root = touch_files(
            f"i-LIDS-VID/images/cam{c}/person{p:03d}/cam{c}_person{p:03d}.png"
            for c in (1, 2)
            for p in (1, 2, 5, 319)
        )
        folder = os.path.join(root, "train-test people splits")
        os.mkdir(folder)
        self.path = os.path.join(folder, "train_test_splits_ilidsvid.mat")
        savemat(self.path, {"ls_set": np.array([[1, 2, 3, 4], [4, 2, 3, 1]])})
        return root

    def test_published_splits(self, root):
        split = ilids_vid(root, split=1)
        # the first half of the row is for testing: the 4th and 2nd folder
        assert identities(split.train) == [1, 5] and identities(split.query) == [2, 319]
        assert [i.camera for i in split.query + split.gallery] == [0, 0, 1, 1]

    def test_seeded(self, root):
        os.remove(self.path)
        with pytest.raises(DataError, match="published splits are missing"):
            ilids_vid(root)
        assert len(ilids_vid(root, split_seed=0).train) == 4

    @pytest.mark.parametrize(
        "rows, message",
        [
            ([[1, 2, 3]], "column for each of the 4 people"),
            ([[1, 2, 3, 3]], "row 0 of ls_set must hold each number from 1 to 4 once"),
            ([[1, 2, 3, 4.5]], "must hold whole numbers"),
        ],
    )
    def test_broken_splits(self, root, rows, message):
        savemat(self.path, {"ls_set": np.array(rows)})
        with pytest.raises(DataError, match=message):
            ilids_vid(root)

    def test_person_without_a_number(self, root, touch_files):
        touch_files(["i-LIDS-VID/images/cam2/someone/a.png"])
        with pytest.raises(
            DataError, match="someone: expected a folder for each person"
        ):
            ilids_vid(root)
