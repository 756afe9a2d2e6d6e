# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json

import pytest
from torchmultimodal_reid.data.captions_tsv import captions_tsv
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.luperson_mllm import luperson_mllm
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.data.synth_pedes import synth_pedes


@pytest.fixture
def touch(tmp_path):
    def write(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return write


class TestSynthPedes:
    RECORD = {
        "id": 7,
        "file_path": "Part1/7/1.jpg",
        "attributes": ["man,black hair,black shirt,pink shorts,black shoes,unknown"],
        "captions": ["A man in his twenties.", "The man with short hair."],
        "prompt_caption": ["A man with black hair."],
    }

    @pytest.fixture
    def write(self, touch):
        def build(*records):
            root = touch("Part1/7/1.jpg", "Part2/9/1.jpg")
            (root / "synthpedes-dataset.json").write_text(json.dumps(records))
            return str(root)

        return build

    def test_reads_the_layout(self, write):
        root = write(
            self.RECORD,
            {"id": 9, "file_path": "Part2/9/1.jpg", "captions": ["x"]},
        )
        split = synth_pedes(root)
        assert split.query == split.gallery == ()
        phrases = ["man", "black hair", "black shirt", "pink shorts", "black shoes"]
        assert split.train == (
            PersonImage(
                f"{root}/Part1/7/1.jpg",
                7,
                0,
                (
                    "A man in his twenties.",
                    "The man with short hair.",
                    "A man with black hair.",
                ),
                {"attributes": {"phrases": phrases}},
            ),
            PersonImage(f"{root}/Part2/9/1.jpg", 9, 0, ("x",)),
        )

    def test_without_captions_made_of_attributes(self, write):
        split = synth_pedes(write(self.RECORD), prompt_captions=False)
        assert len(split.train[0].captions) == 2

    @pytest.mark.parametrize(
        "records, message",
        [
            ([], "the list of records is empty"),
            ([RECORD, RECORD], "record 1 .*a second record for"),
            ([{**RECORD, "captions": [], "prompt_caption": None}], "no caption"),
            ([{**RECORD, "attributes": "man"}], "'attributes' must be a list of text"),
            ([{**RECORD, "id": None}], "record 0 .*'id' must be a whole number"),
            ([{**RECORD, "file_path": "Part1/8/1.jpg"}], "1 of 1 images are not there"),
            (["x"], "record 0 .*expected an object .*got text"),
        ],
    )
    def test_names_the_record_that_does_not_fit(self, write, records, message):
        with pytest.raises(DataError, match=f"synthpedes-dataset.json: .*{message}"):
            synth_pedes(write(*records))


class TestLupersonMllm:
    def test_merges_files_and_finds_images_by_name(self, touch):
        root = touch("images/part1/b.jpg", "images/part2/a.jpg", "images/c.jpg")
        (root / "caption").mkdir()
        qwen = {"/data/elsewhere/a.jpg": "A man.", "images/c.jpg": ["One.", "Two."]}
        (root / "caption" / "Ts-qwen.json").write_text(json.dumps(qwen))
        (root / "caption" / "Ts-shikra.json").write_text(
            json.dumps({"LUPerson/a.jpg": "A tall man."})
        )
        split = luperson_mllm(str(root))
        assert split.train == (
            PersonImage(str(root / "images/c.jpg"), 0, 0, ("One.", "Two.")),
            PersonImage(
                str(root / "images/part2/a.jpg"), 1, 0, ("A man.", "A tall man.")
            ),
        )
        assert split.query == split.gallery == ()

    def test_missing_and_ambiguous_images(self, touch, caplog):
        root = touch("1/a.jpg", "2/a.jpg", "b.jpg")
        file = root / "x.json"
        file.write_text(json.dumps({"b.jpg": "x", "d/gone.jpg": "y"}))
        with pytest.raises(
            DataError, match="x.json: 1 of 2 images are not there .*: d/gone.jpg"
        ):
            luperson_mllm(str(root))
        split = luperson_mllm(str(root), missing_images="allow")
        assert len(split.train) == 1 and "d/gone.jpg" in caplog.text
        file.write_text(json.dumps({"a.jpg": "x"}))
        with pytest.raises(DataError, match="'a.jpg' fits 2 images"):
            luperson_mllm(str(root))

    @pytest.mark.parametrize(
        "content, message",
        [
            ('["x"]', "expected one object, .* got a list"),
            ('{"a.jpg": 7}', "entry 0 .* for 'a.jpg': 'value' must be a list .* got 7"),
            ('{"a.jpg": ""}', "entry 0 .*caption 0 is empty"),
            ('{"": "x"}', "entry 0 .*'key' must be the image's path"),
            ('{"a.jpg": "x", "a.jpg": "y"}', "has the key 'a.jpg' more than once"),
            ("{}", "there are no captions in it"),
        ],
    )
    def test_names_the_entry_that_does_not_fit(self, touch, content, message):
        root = touch("a.jpg")
        (root / "x.json").write_text(content)
        with pytest.raises(DataError, match=f"x.json: .*{message}"):
            luperson_mllm(str(root))

    def test_a_root_without_captions(self, touch):
        with pytest.raises(DataError, match="no captions; expected JSON files"):
            luperson_mllm(str(touch("a.jpg")))


class TestCaptionsTsv:
    def test_reads_lines(self, touch):
        root = touch("b.jpg", "sub/a.jpg")
        (root / "captions.tsv").write_bytes(
            "image\tcaption\r\nsub/a.jpg\tmañana\u2028here\r\nb.jpg\tx\nb.jpg\ty".encode()
        )
        assert captions_tsv(str(root)).train == (
            PersonImage(str(root / "b.jpg"), 0, 0, ("x", "y")),
            PersonImage(str(root / "sub/a.jpg"), 1, 0, ("mañana\u2028here",)),
        )

    @pytest.mark.parametrize(
        "content, message",
        [
            (
                "a.jpg\tx\na.jpg y\n",
                "line 2: expected an image and a caption .* 0 tabs",
            ),
            ("a.jpg\tx\ty\n", "line 1: .* got 2 tabs"),
            ("a.jpg\tx\n\na.jpg\ty\n", "line 2: .* got 0 tabs"),
            ("a.jpg\t \n", "line 1: the caption is empty"),
            ("\tx\n", "line 1: 'image' must be the image's path"),
            ("a.jpg\tx\na.jpg\tx\n", "line 2: the same caption .* a second time"),
            ("a.jpg\tx\ngone.jpg\tx\n", "1 of 2 images are not there .*gone.jpg"),
            ("", "there are no captions in it"),
        ],
    )
    def test_names_the_line_that_does_not_fit(self, touch, content, message):
        root = touch("a.jpg")
        (root / "captions.tsv").write_text(content)
        with pytest.raises(DataError, match=f"captions.tsv: {message}"):
            captions_tsv(str(root))

    def test_utf16(self, touch):
        root = touch("a.jpg")
        (root / "captions.tsv").write_bytes("a.jpg\tx\n".encode("utf-16-le"))
        with pytest.raises(
            DataError, match="captions.tsv: line 1 holds a zero byte, .*UTF-16"
        ):
            captions_tsv(str(root))
