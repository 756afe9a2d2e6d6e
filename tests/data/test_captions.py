# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import logging
import os

import pytest
from torchmultimodal_reid.data.captions import (
    CaptionRecord,
    join_captions,
    read_captions,
)
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage


@pytest.fixture
def write(tmp_path):
    def write_captions(content, name="captions.json"):
        path = tmp_path / name
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write_captions


def record(**changes):
    return {"file_path": "train/a.jpg", "captions": ["a man"], **changes}


class TestReadCaptions:
    def test_reads_the_schema(self, write):
        path = write(
            [
                record(id=1, split="train", processed_tokens=[["a", "man"]]),
                record(
                    file_path="train/b.jpg",
                    captions=["tall", "in red"],
                    attributes={"coat": "red"},
                    told=[{}, {"coat": "red"}],
                ),
            ]
        )
        assert read_captions(path) == {
            "train/a.jpg": CaptionRecord("train/a.jpg", ("a man",)),
            "train/b.jpg": CaptionRecord(
                "train/b.jpg",
                ("tall", "in red"),
                {"coat": "red"},
                ({}, {"coat": "red"}),
            ),
        }

    def test_reads_a_file_with_a_byte_order_mark(self, write):
        path = write("\ufeff" + json.dumps([record(captions=["mañana"])]))
        assert read_captions(path)["train/a.jpg"].captions == ("mañana",)

    def test_names_line_and_column_of_broken_json(self, write):
        path = write('[\n  {"file_path": "a.jpg",\n   "captions" ["x"]}\n]')
        with pytest.raises(
            DataError, match=r"captions\.json: broken JSON at line 3, column 15"
        ):
            read_captions(path)

    def test_names_the_end_of_a_file_cut_short(self, write):
        path = write(json.dumps([record()])[:-5])
        with pytest.raises(DataError, match="broken JSON at line 1, column"):
            read_captions(path)

    def test_missing_file(self, tmp_path):
        with pytest.raises(DataError, match=r"none\.json: the captions file cannot"):
            read_captions(str(tmp_path / "none.json"))

    def test_not_utf8(self, tmp_path):
        path = tmp_path / "latin.json"
        path.write_bytes('["mañana"]'.encode("latin-1"))
        with pytest.raises(DataError, match=r"latin\.json: not UTF-8 text \(byte 4"):
            read_captions(str(path))

    @pytest.mark.parametrize(
        "content, message",
        [
            ({"file_path": "a"}, "expected a list of records, got an object"),
            ([record(), "x"], "record 1 .*expected an object .*got text"),
            ([record(file_path=7)], "record 0 .*'file_path' must be .*got 7"),
            ([record(file_path=" ")], "record 0 .*'file_path' must be"),
            ([record(captions="a man")], "at least one caption, got 'a man'"),
            (
                [record(captions=[])],
                r"record 0 .*for 'train/a.jpg': 'captions' must be .*got \[\]",
            ),
            ([record(captions=["x", "  "])], "'train/a.jpg': caption 1 is empty"),
            ([record(captions=[None])], "caption 0 must be text, got null"),
            ([record(captions=["a \ud800"])], "caption 0 holds half of a character"),
            ([record(attributes=[1])], "'attributes' must be an object, got a list"),
            ([record(told={})], "'told' must be a list of objects"),
            ([record(told=[{}, {}])], "'told' has 2 entries for 1 captions"),
            ([record(), record()], "record 1 .*second record for 'train/a.jpg'"),
        ],
    )
    def test_names_the_record_that_does_not_fit(self, write, content, message):
        with pytest.raises(DataError, match=message):
            read_captions(write(content))


class TestJoinCaptions:
    @pytest.fixture
    def root(self, tmp_path):
        return str(tmp_path)

    @pytest.fixture
    def images(self, root):
        names = ("train/a.jpg", "train/b.jpg", "query/c.jpg")
        return [
            PersonImage(os.path.join(root, *name.split("/")), number, 0)
            for number, name in enumerate(names)
        ]

    def records(self, *names):
        return {name: CaptionRecord(name, (f"caption of {name}",)) for name in names}

    def test_joins_by_path_or_bare_name(self, images, root):
        records = self.records("query/c.jpg", "./train/b.jpg", "a.jpg")
        joined = join_captions(images, records, root)
        assert [image.captions for image in joined] == [
            ("caption of a.jpg",),
            ("caption of ./train/b.jpg",),
            ("caption of query/c.jpg",),
        ]
        assert [image.path for image in joined] == [image.path for image in images]
        assert joined[0].attributes is None

    def test_carries_attributes(self, images, root):
        record = CaptionRecord("a.jpg", ("x",), {"hat": "no"}, ({"hat": "no"},))
        joined = join_captions(images[:1], {"a.jpg": record}, root)
        assert joined[0].attributes == {
            "attributes": {"hat": "no"},
            "told": [{"hat": "no"}],
        }

    def test_counts_and_lists_images_without_captions(self, images, root):
        with pytest.raises(
            DataError,
            match="2 of 3 images under .* have no caption: train/b.jpg, query/c.jpg.*missing_captions='allow'",
        ):
            join_captions(images, self.records("train/a.jpg"), root)

    def test_allows_images_without_captions_on_request(self, images, root, caplog):
        with caplog.at_level(logging.WARNING):
            joined = join_captions(images, self.records("a.jpg"), root, "allow")
        assert [len(image.captions) for image in joined] == [1, 0, 0]
        assert "2 of 3 images" in caplog.text and "query/c.jpg" in caplog.text

    def test_caption_for_an_image_that_is_not_there(self, images, root):
        records = self.records("train/a.jpg", "train/gone.jpg", "query/a.jpg")
        with pytest.raises(
            DataError,
            match="2 of 3 captions are for images that are not there .*: train/gone.jpg, query/a.jpg",
        ):
            join_captions(images, records, root, "allow")

    def test_caption_of_a_file_that_the_reader_left_out(self, images, root, tmp_path):
        (tmp_path / "junk.jpg").write_bytes(b"")
        names = ("train/a.jpg", "train/b.jpg", "query/c.jpg", "junk.jpg")
        assert len(join_captions(images, self.records(*names), root)) == 3

    def test_bare_name_of_two_images(self, images, root):
        twin = PersonImage(os.path.join(root, "query", "a.jpg"), 0, 0)
        with pytest.raises(DataError, match="'a.jpg' fits 2 images"):
            join_captions(images + [twin], self.records("a.jpg"), root)

    def test_two_records_for_one_image(self, images, root):
        with pytest.raises(DataError, match="two records name the image .*a.jpg"):
            join_captions(images, self.records("a.jpg", "train/a.jpg"), root)

    def test_unknown_flag(self, images, root):
        with pytest.raises(ValueError, match="'error' or 'allow', got 'ignore'"):
            join_captions(images, {}, root, "ignore")
