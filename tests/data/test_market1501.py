# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import os
import shutil

import pytest
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.market1501 import market1501


@pytest.fixture
def touch(tmp_path):
    """Empty files in Market-1501's layout: the reader opens no image."""

    def touch_files(train=(), query=(), gallery=(), root="market"):
        parts = (
            ("bounding_box_train", train),
            ("query", query),
            ("bounding_box_test", gallery),
        )
        for part, names in parts:
            folder = tmp_path / root / part
            folder.mkdir(parents=True)
            for name in names:
                (folder / name).write_bytes(b"")
        return str(tmp_path / root)

    return touch_files


TRAIN, QUERY, GALLERY = "0002_c1s1_1.jpg", "0005_c1s1_1.jpg", "0005_c2s1_1.jpg"


def facts(images):
    return [(os.path.basename(i.path), i.identity, i.camera) for i in images]


def test_reads_names_in_order(touch):
    root = touch(
        [
            "0007_c6s3_000001_01.png",
            "0002_c1s1_000551_01.jpg",
            "0002_c1s1_000451_03.JPEG",
        ],
        ["0010_c3s1_000001_00.jpg"],
        ["1501_c2s1_000001_00.jpg"],
    )
    split = market1501(root)
    assert (split.name, split.root) == ("market1501", root)
    assert facts(split.train) == [
        ("0002_c1s1_000451_03.JPEG", 2, 0),
        ("0002_c1s1_000551_01.jpg", 2, 0),
        ("0007_c6s3_000001_01.png", 7, 5),
    ]
    assert facts(split.query) == [("0010_c3s1_000001_00.jpg", 10, 2)]
    assert facts(split.gallery) == [("1501_c2s1_000001_00.jpg", 1501, 1)]
    assert split.train[0].captions == () and split.train[0].attributes is None


def test_drops_junk_and_keeps_distractors(touch):
    junk, distractor = "-1_c1s1_000001_00.jpg", "0000_c1s1_000001_00.jpg"
    root = touch([TRAIN], [QUERY], [junk, distractor, GALLERY])
    assert [image.identity for image in market1501(root).gallery] == [0, 5]


def test_ignores_files_that_are_no_images(touch):
    root = touch([TRAIN, "Thumbs.db", "._0002_c1s1_1.jpg"], [QUERY], [GALLERY])
    assert facts(market1501(root).train) == [(TRAIN, 2, 0)]


def test_accepts_the_folder_above(touch, tmp_path):
    root = touch([TRAIN], [QUERY], [GALLERY], root="sets/Market-1501-v15.09.15")
    assert market1501(str(tmp_path / "sets")).root == root


def test_name_of_the_split(touch):
    root = touch([TRAIN], [QUERY], [GALLERY])
    assert market1501(root, name="synthetic").name == "synthetic"


def test_missing_root(tmp_path):
    with pytest.raises(
        DataError,
        match="root .*nowhere' is not a folder; expected .*bounding_box_train",
    ):
        market1501(str(tmp_path / "nowhere"))


def test_root_of_something_else(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(
        DataError, match="expected the folders bounding_box_train.*found photos"
    ):
        market1501(str(tmp_path))


def test_missing_part(touch):
    root = touch([TRAIN], [QUERY], [GALLERY])
    shutil.rmtree(os.path.join(root, "query"))
    with pytest.raises(DataError, match="folder query is missing"):
        market1501(root)


@pytest.mark.parametrize("names", [[], ["-1_c1s1_1.jpg"], ["Thumbs.db"]])
def test_part_without_images(touch, names):
    root = touch([TRAIN], [QUERY], names)
    with pytest.raises(DataError, match="bounding_box_test: no images; expected files"):
        market1501(root)


@pytest.mark.parametrize(
    "name", ["person.jpg", "0002.jpg", "x0002_c1s1.jpg", "--_c1s1.jpg", "1-2_c1.jpg"]
)
def test_name_that_does_not_parse(touch, name):
    root = touch([TRAIN, name], [QUERY], [GALLERY])
    with pytest.raises(DataError) as error:
        market1501(root)
    assert os.path.join("bounding_box_train", name) in str(error.value)
    assert "expected <identity>_c<camera from 1 to 9>" in str(error.value)


@pytest.mark.parametrize("name", ["0002_c10s1_1.jpg", "0002_c0s1_1.jpg"])
def test_camera_that_the_layout_cannot_hold(touch, name):
    # read by the usual pattern, camera 10 would silently become camera 1
    root = touch([TRAIN], [QUERY], [GALLERY, name])
    with pytest.raises(DataError, match="camera from 1 to 9"):
        market1501(root)


def test_finds_captions_beside_the_images(build_market):
    split = market1501(build_market())
    assert len(split.train) == 16 and len(split.query) == 4 and len(split.gallery) == 8
    for image in split.train + split.query + split.gallery:
        assert len(image.captions) == 2
        assert image.attributes["told"][1] == image.attributes["attributes"]


def test_captions_elsewhere(touch, tmp_path):
    root = touch([TRAIN], [QUERY], [GALLERY])
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([{"file_path": TRAIN, "captions": ["a man"]}]))
    with pytest.raises(DataError, match="2 of 3 images .* have no caption"):
        market1501(root, captions=str(path))
    split = market1501(root, captions=str(path), missing_captions="allow")
    assert split.train[0].captions == ("a man",) and split.query[0].captions == ()


def test_captions_that_are_asked_for_and_missing(touch, tmp_path):
    root = touch([TRAIN], [QUERY], [GALLERY])
    with pytest.raises(DataError, match="none.json"):
        market1501(root, captions=str(tmp_path / "none.json"))


def test_the_training_part_alone(touch):
    root = touch([TRAIN])
    split = market1501(root, train_only=True)
    assert facts(split.train) == [(TRAIN, 2, 0)]
    assert (split.query, split.gallery) == ((), ())
    shutil.rmtree(os.path.join(root, "query"))
    assert market1501(root, train_only=True) == split
    with pytest.raises(DataError, match="train_only is true: distractors are for"):
        market1501(root, train_only=True, distractors_500k="images")
