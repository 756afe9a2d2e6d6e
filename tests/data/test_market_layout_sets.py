# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The data sets that come in the three folders of Market-1501."""

import os

import pytest
from torchmultimodal_reid.data.dukemtmc import dukemtmc
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.occluded_duke import occluded_duke
from torchmultimodal_reid.data.personx import personx
from torchmultimodal_reid.data.validation import check_split

DUKE = [
    "bounding_box_train/0005_c2_f0046985.jpg",
    "query/0001_c8_f0044158.jpg",
    "bounding_box_test/0001_c1_f0044158.jpg",
    "bounding_box_test/0001_c8_f0044278.jpg",
]
MARKET = [
    "bounding_box_train/0002_c1s1_1.jpg",
    "query/0005_c1s1_1.jpg",
    "bounding_box_test/0005_c2s1_1.jpg",
]


def test_dukemtmc(touch_files, facts):
    root = touch_files([f"DukeMTMC-reID/{name}" for name in DUKE])
    split = dukemtmc(root)
    assert split.name == "dukemtmc" and split.root == os.path.join(
        root, "DukeMTMC-reID"
    )
    assert facts(split.train) == [("0005_c2_f0046985.jpg", 5, 1)]
    assert facts(split.query) == [("0001_c8_f0044158.jpg", 1, 7)]
    assert [i.camera for i in split.gallery] == [0, 7]
    assert check_split(split).num_queries == 1


def test_dukemtmc_names_its_own_example(touch_files):
    root = touch_files([*DUKE, "query/nobody.jpg"])
    with pytest.raises(DataError, match="nobody.jpg: .*such as 0005_c2_f0046985.jpg"):
        dukemtmc(root)


def test_identity_below_junk(touch_files):
    root = touch_files([*MARKET, "query/-2_c1s1_1.jpg"])
    with pytest.raises(DataError, match="-2_c1s1_1.jpg: identity -2; expected -1"):
        market1501(root)


def test_distractors(touch_files, facts):
    extra = ["images/0000_c3s1_2.jpg", "images/-1_c1s1_1.jpg"]
    root = touch_files(MARKET + extra)
    assert len(market1501(root).gallery) == 1
    gallery = market1501(root, distractors_500k="images").gallery
    assert facts(gallery)[1:] == [("0000_c3s1_2.jpg", 0, 2)]


def test_distractors_that_are_people(touch_files):
    root = touch_files(MARKET)
    with pytest.raises(DataError, match="0005_c2s1_1.jpg: identity 5 among the dist"):
        market1501(root, distractors_500k="bounding_box_test")
    with pytest.raises(DataError, match="nowhere: the folder cannot be read"):
        market1501(root, distractors_500k="nowhere")


class TestOccludedDuke:
    @pytest.fixture
    def roots(self, touch_files, tmp_path):
        duke = touch_files(DUKE, "DukeMTMC-reID")
        lists = tmp_path / "Occluded_Duke"
        lists.mkdir()
        (lists / "train.list").write_text("0005_c2_f0046985.jpg\n")
        # the second query lies in DukeMTMC-reID's gallery
        (lists / "query.list").write_text(
            "0001_c8_f0044158.jpg\r\n0001_c1_f0044158.jpg\r\n"
        )
        (lists / "gallery.list").write_text(
            "0001_c1_f0044158.jpg\n0001_c8_f0044278.jpg"
        )
        return lists, duke

    def test_folders(self, touch_files):
        split = occluded_duke(touch_files(DUKE, "x/Occluded_Duke"))
        assert (split.name, len(split.gallery)) == ("occluded_duke", 2)

    def test_lists(self, roots, facts):
        split = occluded_duke(str(roots[0]), dukemtmc_root=roots[1])
        assert facts(split.query) == [
            ("0001_c8_f0044158.jpg", 1, 7),
            ("0001_c1_f0044158.jpg", 1, 0),
        ]
        assert "bounding_box_test" in split.query[1].path
        assert all(os.path.isfile(i.path) for i in split.train + split.query)

    @pytest.mark.parametrize(
        "text, message",
        [
            (
                b"0001_c1_f0044158.jpg\n0009_c1_f1.jpg",
                "line 2: no image '0009_c1_f1.jpg'",
            ),
            (
                b"0001_c1_f0044158.jpg\n\n0001_c1_f0044158.jpg",
                "line 3: .* is on line 1 already",
            ),
            (b"\xff\xfe", "gallery.list"),
            (b"a\0b", "gallery.list.*line 1.*zero byte"),
            (b"\n", "gallery.list: the list is empty"),
        ],
    )
    def test_broken_lists(self, roots, text, message):
        (roots[0] / "gallery.list").write_bytes(text)
        with pytest.raises(DataError, match=message):
            occluded_duke(str(roots[0]), dukemtmc_root=roots[1])

    def test_missing_list(self, roots):
        (roots[0] / "query.list").unlink()
        with pytest.raises(DataError, match="file query.list is missing"):
            occluded_duke(str(roots[0]), dukemtmc_root=roots[1])


class TestPersonX:
    @pytest.fixture
    def root(self, touch_files):
        return touch_files(
            f"PersonX_v1/{b}/{part}/{person:04d}_c{b}s1_{view:02d}.jpg"
            for b in (1, 2)
            for part, person, view in (
                ("bounding_box_train", 4, 1),
                ("query", 1, 32),
                ("bounding_box_test", 1, 1),
            )
        )

    def test_backgrounds_are_cameras(self, root):
        split = personx(root, backgrounds=(1, 2))
        assert [i.camera for i in split.query] == [0, 1]
        assert check_split(split).queries_without_match == ()

    def test_one_background(self, root):
        split = personx(os.path.join(root, "PersonX_v1", "2"))
        assert [i.camera for i in split.query + split.gallery] == [1, 1]

    def test_missing_background(self, root):
        with pytest.raises(DataError, match="folder 3, 4, 5, 6 is missing"):
            personx(root)
