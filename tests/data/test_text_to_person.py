# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import logging

import pytest
from torchmultimodal_reid.data.cuhk_pedes import cuhk_pedes
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.icfg_pedes import icfg_pedes
from torchmultimodal_reid.data.rstpreid import rstpreid
from torchmultimodal_reid.data.sample import expand_captions, PersonImage


def cuhk_records():
    return [
        {
            "split": "train",
            "captions": ["A man in red.", "He has a bag."],
            "file_path": "CUHK01/0363004.png",
            "processed_tokens": [["a", "man", "in", "red"], ["he", "has", "a", "bag"]],
            "id": 1,
        },
        {
            "split": "val",
            "captions": ["A woman."],
            "file_path": "cam_a/010.bmp",
            "processed_tokens": [["a", "woman"]],
            "id": 11004,
        },
        {
            "split": "test",
            "captions": ["A tall man.", "Tall."],
            "file_path": "test_query/p10376_s14337.jpg",
            "processed_tokens": [["a", "tall", "man"], ["tall"]],
            "id": 12004,
        },
        {
            "split": "test",
            "captions": ["Someone."],
            "file_path": "Market/0042_c3s1_000001_00.jpg",
            "processed_tokens": [["someone"]],
            "id": 12005,
        },
    ]


@pytest.fixture
def build(tmp_path):
    """Writes an annotation file, and an empty file for each image: readers open none."""

    def write(folder, file, records, field="file_path", skip=()):
        root = tmp_path / folder
        root.mkdir()
        (root / file).write_text(json.dumps(records))
        for record in records:
            name = record.get(field)
            if isinstance(name, str) and name not in skip:
                path = root / "imgs" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return root

    return write


class TestCuhkPedes:
    def test_reads_the_layout(self, build):
        root = build("CUHK-PEDES", "reid_raw.json", cuhk_records())
        split = cuhk_pedes(str(root))
        assert split.name == "cuhk_pedes"
        assert split.train == (
            PersonImage(
                str(root / "imgs/CUHK01/0363004.png"),
                1,
                0,
                ("A man in red.", "He has a bag."),
            ),
        )
        assert [image.identity for image in split.gallery] == [12004, 12005]
        assert split.query == split.gallery

    def test_captions_of_the_test_part_are_the_queries(self, build):
        split = cuhk_pedes(str(build("x", "reid_raw.json", cuhk_records())))
        queries = expand_captions(split.query)
        assert [(q.captions, q.identity) for q in queries] == [
            (("A tall man.",), 12004),
            (("Tall.",), 12004),
            (("Someone.",), 12005),
        ]

    def test_reads_the_validation_part_from_the_folder_above(self, build):
        root = build("CUHK-PEDES", "reid_raw.json", cuhk_records())
        split = cuhk_pedes(str(root.parent), evaluate_on="val")
        assert [image.identity for image in split.query] == [11004]
        with pytest.raises(ValueError, match="'test' or 'val', got 'train'"):
            cuhk_pedes(str(root), evaluate_on="train")

    def test_a_second_record_adds_its_captions(self, build):
        records = cuhk_records()
        records.append({**records[0], "captions": ["A third."]})
        split = cuhk_pedes(str(build("x", "reid_raw.json", records)))
        assert split.train[0].captions == ("A man in red.", "He has a bag.", "A third.")

    def test_images_that_are_not_there(self, build, caplog):
        root = build("x", "reid_raw.json", cuhk_records(), skip=["CUHK01/0363004.png"])
        with pytest.raises(
            DataError,
            match=r"reid_raw.json: 1 of 4 images are not there: .*0363004.png.*missing_images='allow'",
        ):
            cuhk_pedes(str(root))
        with pytest.raises(
            DataError, match="no image of the split 'train'; found 0 of train, 1 of val"
        ):
            cuhk_pedes(str(root), missing_images="allow")
        assert "1 of 4 images are not there" in caplog.text
        with pytest.raises(ValueError, match="'error' or 'allow', got 'skip'"):
            cuhk_pedes(str(root), missing_images="skip")

    @pytest.mark.parametrize(
        "changes, message",
        [
            ({"split": "dev"}, "'split' must be one of train, val, test, got 'dev'"),
            ({"split": None}, "'split' must be one of .* got None"),
            ({"id": 1.0}, "'id' must be a whole number .* got 1.0"),
            ({"id": True}, "'id' must be a whole number .* got True"),
            ({"id": -1}, "'id' must be a whole number .* got -1"),
            ({"id": 2**63}, "'id' must be a whole number .* got 9223372036854775808"),
            ({"id": [1]}, r"'id' must be a whole number .* got \[1\]"),
            ({"file_path": None}, "'file_path' must be the image's path .* got None"),
            ({"file_path": "/etc/x.jpg"}, "must lead to a file below the folder"),
            ({"file_path": "a/../../x.jpg"}, "must lead to a file below the folder"),
            ({"file_path": "a\0.jpg"}, "a character that no path can have"),
            ({"captions": "A man."}, "'captions' must be a list .* got 'A man.'"),
            ({"captions": ["x", [" y"]]}, "caption 1 must be text, got a list"),
            ({"captions": [" "]}, "caption 0 is empty"),
        ],
    )
    def test_names_the_record_that_does_not_fit(self, build, changes, message):
        records = cuhk_records()
        records[2].update(changes)
        root = build("x", "reid_raw.json", records[:2] + records[3:])
        (root / "reid_raw.json").write_text(json.dumps(records))
        with pytest.raises(DataError, match=f"reid_raw.json: record 2 .*{message}"):
            cuhk_pedes(str(root))

    def test_records_that_contradict_each_other(self, build):
        records = cuhk_records()
        records.append({**records[0], "id": 2})
        root = build("x", "reid_raw.json", records)
        with pytest.raises(
            DataError, match="record 4 .*identity 1 in an earlier record, .*identity 2"
        ):
            cuhk_pedes(str(root))

    def test_a_root_without_the_file(self, tmp_path):
        (tmp_path / "imgs").mkdir()
        with pytest.raises(
            DataError, match="expected reid_raw.json, or a folder CUHK-PEDES.*imgs"
        ):
            cuhk_pedes(str(tmp_path))
        with pytest.raises(DataError, match="none' is not a folder"):
            cuhk_pedes(str(tmp_path / "none"))

    def test_a_key_that_comes_twice(self, build):
        root = build("x", "reid_raw.json", cuhk_records())
        text = (root / "reid_raw.json").read_text()
        (root / "reid_raw.json").write_text(
            text.replace('"id": 1}', '"id": 1, "id": 2}')
        )
        with pytest.raises(DataError, match="has the key 'id' more than once"):
            cuhk_pedes(str(root))


class TestIcfgPedes:
    RECORDS = [
        {
            "split": split,
            "captions": ["A man in red."],
            "file_path": f"{split}/{name[:4]}/{name}",
            "id": identity,
        }
        for split, name, identity in (
            ("train", "0003_019_05_0303morning_0040_0.jpg", 0),
            ("test", "0000_000_15_0303morning_0008_0.jpg", 3102),
        )
    ]

    @pytest.mark.parametrize("file", ["ICFG-PEDES.json", "ICFG_PEDES.json"])
    def test_reads_the_layout(self, build, file):
        split = icfg_pedes(str(build("ICFG-PEDES", file, self.RECORDS)))
        assert split.name == "icfg_pedes"
        assert [(image.identity, image.camera) for image in split.train] == [(0, 4)]
        assert [(image.identity, image.camera) for image in split.query] == [(3102, 14)]

    def test_names_without_cameras(self, build, caplog):
        records = [dict(record) for record in self.RECORDS]
        records[1]["file_path"] = "test/other.jpg"
        with caplog.at_level(logging.WARNING):
            split = icfg_pedes(str(build("x", "ICFG-PEDES.json", records)))
        assert [image.camera for image in split.train + split.query] == [0, 0]
        assert not split.tells_cameras
        assert "1 of 2 names do not tell the camera (test/other.jpg)" in caplog.text


class TestRstpreid:
    def test_reads_the_layout(self, build):
        records = [
            {"id": i, "img_path": name, "captions": ["a", "b"], "split": split}
            for i, name, split in (
                (0, "0000_c14_0031.jpg", "train"),
                (3701, "3701_c1_0001.jpg", "val"),
                (3901, "3901_c5_0002.jpg", "test"),
            )
        ]
        root = build("RSTPReid", "data_captions.json", records, "img_path")
        split = rstpreid(str(root))
        images = split.train + split.query
        assert [(i.identity, i.camera) for i in images] == [(0, 13), (3901, 4)]
        assert images[0].path == str(root / "imgs" / "0000_c14_0031.jpg")
        assert rstpreid(str(root), evaluate_on="val").query[0].identity == 3701
