# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""RandPerson, ClonedPerson, FineGPR and unlabelled folders: read from the names of the files alone."""

import os

import pytest
from torchmultimodal_reid.data.clonedperson import clonedperson
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.finegpr import finegpr
from torchmultimodal_reid.data.finegpr_names import parse_finegpr_name
from torchmultimodal_reid.data.randperson import randperson
from torchmultimodal_reid.data.unlabelled import unlabelled


class TestRandPerson:
    def test_cameras_of_the_scenes_are_numbered_through(self, touch_files):
        root = touch_files(
            [
                "scene00/camera0_1/000000_s00_c01_f000264.jpg",
                "scene10/camera3_1/007999_s10_c03_f000001.jpg",
                "scene10/delete_camera3_1/000001_s10_c03_f000009.jpg",
            ]
        )
        train = randperson(root).train
        assert [(i.identity, i.camera) for i in train] == [(0, 1), (7999, 18)]

    @pytest.mark.parametrize(
        "name, message",
        [
            ("000000_s11_c00_f1.jpg", "camera 0 of scene 11; expected scenes 0 to 10"),
            ("000000_s04_c01_f1.jpg", "camera 1 of scene 4"),
            ("000000_c00.jpg", "such as 000000_s00_c00_f000264.jpg"),
        ],
    )
    def test_bad_names(self, touch_files, name, message):
        with pytest.raises(DataError, match=f"{name}: .*{message}"):
            randperson(touch_files([name]))


class TestClonedPerson:
    @pytest.fixture
    def root(self, touch_files):
        return touch_files(
            [
                "train/700000_s02_c00_f023389.jpg",
                "test/query/705227_s06_c03_f001117.jpg",
                "test/gallery/705227_s12_c03_f005521.jpg",
            ]
        )

    def test_cameras(self, root):
        split = clonedperson(root)
        # the authors' loader leaves the scene out
        assert split.query[0].camera == split.gallery[0].camera == 3
        split = clonedperson(root, cameras="scene")
        assert (split.query[0].camera, split.gallery[0].camera) == (27, 51)

    def test_bad_input(self, root, touch_files):
        touch_files(["train/700000_s02_c04_f1.jpg"])
        with pytest.raises(DataError, match="_f1.jpg: camera 4; expected 0 to 3"):
            clonedperson(root)
        os.remove(os.path.join(root, "train", "700000_s02_c04_f1.jpg"))
        os.remove(os.path.join(root, "test", "query", "705227_s06_c03_f001117.jpg"))
        with pytest.raises(DataError, match="no images"):
            clonedperson(root)


class TestFineGPR:
    @pytest.fixture
    def root(self, touch_files):
        return touch_files(
            [
                "0001/0001_c01_w01_l01_p03.jpg",
                "0001/0001_c28_w07_l05_p03.jpg",
                "0003/0003_c36_w03_l07_p06.jpg",
            ]
        )

    def test_names(self, root):
        train = finegpr(root).train
        assert [(i.identity, i.camera) for i in train] == [(1, 0), (1, 27), (3, 35)]
        assert train[0].attributes is None
        assert [parse_finegpr_name(i.path).degrees for i in train] == [90, 0, 80]

    def test_a_part(self, root):
        assert len(finegpr(root, weathers=[3, 7]).train) == 2
        assert len(finegpr(root, viewpoints=range(1, 10), illuminations=[1]).train) == 1
        with pytest.raises(DataError, match="no images of these viewpoints"):
            finegpr(root, weathers=[5])

    def test_conditions(self, root):
        assert finegpr(root, conditions=True).train[1].attributes == {
            "attributes": {
                "viewpoint": "0",
                "weather": "snowlight",
                "illumination": "afternoon",
                "scene": "wild",
            }
        }

    @pytest.mark.parametrize(
        "name, message",
        [
            ("0001_c37_w01_l01_p01.jpg", "viewpoint 37; expected 1 to 36"),
            ("0001_c01_w08_l01_p01.jpg", "weather 8; expected 1 to 7"),
            ("0001_c01_w01_l00_p01.jpg", "illumination 0; expected 1 to 7"),
            ("0001_c01_w01_l01_p10.jpg", "background 10; expected 1 to 9"),
            ("0001_c01.jpg", "such as 0001_c01_w01_l01_p01.jpg"),
        ],
    )
    def test_bad_names(self, touch_files, name, message):
        with pytest.raises(DataError, match=f"{name}: .*{message}"):
            finegpr(touch_files([name]))

    def test_attributes(self, root, tmp_path):
        file = tmp_path / "people.csv"
        file.write_text(
            "\ufeffid,gender,coat,remark\n0001,1,blue,\n3,Female,9,\n", "utf-8"
        )
        columns = {"gender": "gender", "upper_color": "coat"}
        train = finegpr(root, attributes=str(file), columns=columns).train
        assert train[0].attributes == {
            "attributes": {"gender": "male", "upper_color": "blue"}
        }
        assert train[2].attributes["attributes"]["upper_color"] == "brown"
        # one object a person, or two million images would not fit into memory
        assert train[0].attributes is train[1].attributes
        both = finegpr(root, attributes=str(file), conditions=True).train[0].attributes
        assert (
            both["attributes"]["gender"] == "male"
            and both["attributes"]["weather"] == "sunny"
        )

    @pytest.mark.parametrize(
        "text, message",
        [
            ("id,gender\n1,1", "no line for identity 3, of whom there is"),
            ("id,gender\n1,3", "line 2: gender is '3'; expected 1 to 2 or one of male"),
            ("id,gender\n1", "line 2: 1 values, expected 2"),
            ("id,gender\nx,1", "line 2: identity 'x'; expected a number"),
            ("id,gender\n1,1\n\n01,2", "line 4: a second line for identity 1"),
            ("number,gender\n1,1", "line 1: no column id; found number, gender"),
            ("id,sex\n1,1", "line 1: no column of an attribute; found id, sex"),
            ("", "the list is empty"),
        ],
    )
    def test_broken_attributes(self, root, tmp_path, text, message):
        file = tmp_path / "people.csv"
        file.write_text(text)
        with pytest.raises(DataError, match=f"people.csv: {message}"):
            finegpr(root, attributes=str(file))

    def test_unknown_attribute(self, root, tmp_path):
        file = tmp_path / "people.csv"
        file.write_text("id,gender\n1,1\n3,1\n")
        with pytest.raises(
            ValueError, match="no attribute coat; expected some of gender"
        ):
            finegpr(root, attributes=str(file), columns={"coat": "gender"})


class TestUnlabelled:
    def test_every_image_is_a_person(self, touch_files):
        root = touch_files(
            ["b/1.jpg", "a/c/2.png", "a/3.jpeg", ".x/4.jpg", "a/list.txt"]
        )
        train = unlabelled(root, name="luperson").train
        assert [os.path.relpath(i.path, root) for i in train] == [
            "a/3.jpeg",
            "a/c/2.png",
            "b/1.jpg",
        ]
        assert [(i.identity, i.camera) for i in train] == [(0, 0), (1, 0), (2, 0)]

    def test_folders_are_people(self, touch_files):
        root = touch_files(["b/1.jpg", "b/2.jpg", "a/3.jpg"])
        assert [i.identity for i in unlabelled(root, identities="folder").train] == [
            0,
            1,
            1,
        ]
        touch_files(["stray.jpg"])
        with pytest.raises(DataError, match="stray.jpg: an image beside the folders"):
            unlabelled(root, identities="folder")

    def test_bad_input(self, touch_files, tmp_path):
        with pytest.raises(DataError, match="no images in it or below it"):
            unlabelled(touch_files(["a/readme.txt"]))
        with pytest.raises(DataError, match="is not a folder"):
            unlabelled(str(tmp_path / "nowhere"))
        with pytest.raises(ValueError, match="got 'none'"):
            unlabelled(str(tmp_path), identities="none")

    def test_name_in_another_encoding(self, touch_files):
        root = touch_files([])
        with open(os.path.join(os.fsencode(root), b"caf\xe9.jpg"), "wb"):
            pass
        (image,) = unlabelled(root).train
        assert os.path.exists(image.path)
        with pytest.raises(DataError) as error:
            finegpr(root)
        str(error.value).encode("utf-8")  # can be printed
