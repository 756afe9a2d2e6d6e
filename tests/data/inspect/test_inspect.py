# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import os
import shutil

import pytest
from PIL import Image
from torchmultimodal_reid.data.dataset_info import PartCounts
from torchmultimodal_reid.data.inspect.__main__ import main
from torchmultimodal_reid.data.inspect.inspection import inspect_split
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit


def person(path, identity, camera=0, *captions):
    return PersonImage(path, identity, camera, captions)


def split_of(train=(), query=(), gallery=()):
    return ReIDSplit("tiny", "root", tuple(train), tuple(query), tuple(gallery))


def findings(split, **options):
    report = inspect_split(split, files=False, **options)
    return {finding.name: finding for finding in report.findings}


TRAIN = (person("a", 1), person("b", 2))


class TestParts:
    def test_a_sound_split_is_fit(self):
        split = split_of(TRAIN, [person("q", 3, 0)], [person("g", 3, 1)])
        report = inspect_split(split, files=False)
        assert report.fit and report.findings == ()
        assert report.parts["gallery"]["identities_per_camera"] == {"1": 1}
        assert report.parts["all"]["images"] == 4

    def test_identities_in_train_and_test(self):
        split = split_of(TRAIN, [person("q", 2, 0)], [person("g", 2, 1)])
        found = findings(split)["identities_in_train_and_test"]
        assert (found.severity, found.number) == ("error", 1)
        assert found.examples == ("identity 2",)

    def test_queries_that_share_every_camera_with_their_matches(self):
        query = [person("q", 3, 0), person("r", 4, 0)]
        gallery = [person("g", 3, 0), person("h", 4, 1)]
        found = findings(split_of(TRAIN, query, gallery))
        assert found["queries_without_match"].examples == ("q",)
        assert found["queries_without_match"].severity == "warning"
        found = findings(split_of(TRAIN, query, gallery[:1]))
        assert found["no_query_has_a_match"].number == 2
        assert findings(split_of(TRAIN, query, gallery[:1]), text_queries=True) == {}

    def test_nothing_or_nobody_to_train_on(self):
        assert set(findings(split_of())) == {"no_training_images"}
        assert set(findings(split_of(TRAIN[:1]))) == {"one_identity"}

    def test_counts_beside_the_published_ones(self):
        published = {"train": PartCounts(2, 3, None)}
        report = inspect_split(split_of(TRAIN), files=False, published=published)
        (found,) = report.findings
        assert found.examples == ("train: 2 images, published 3",)
        assert "2 (published 3, differs)" in report.to_text()
        assert "2 (published 2)" in report.to_text()

    def test_distractors_are_no_people(self):
        gallery = [person("g", 3, 1), person("d", 0, 1)]
        report = inspect_split(split_of(TRAIN, [person("q", 3)], gallery), files=False)
        assert report.parts["gallery"]["identities"] == 1
        assert report.parts["gallery"]["images"] == 2


class TestCaptions:
    def lint(self, *images, **options):
        return findings(split_of(images), **options)

    def test_good_captions(self):
        assert not self.lint(
            person("a", 1, 0, "A man in a red coat."), person("b", 2, 0, "Blue jeans.")
        )

    @pytest.mark.parametrize(
        "caption, name",
        [
            ("A man is walking.", "captions_without_attribute"),
            ("His left shoe is white.", "captions_with_sides"),
            ("A <color> coat.", "captions_with_markup"),
            ("red " * 76, "captions_cut_off"),
        ],
    )
    def test_finds(self, caption, name):
        found = self.lint(person("a", 1, 0, caption), person("b", 2, 0, "A red coat."))
        assert set(found) == {name}
        assert found[name].number == 1
        assert found[name].examples[0].startswith("a: ")

    def test_a_tokenizer_counts_exactly(self):
        images = person("a", 1, 0, "A red coat."), person("b", 2, 0, "Blue")
        found = self.lint(*images, max_length=10, count_tokens=len)
        assert found["captions_cut_off"].number == 1

    def test_captions_shared_by_identities(self):
        found = self.lint(
            person("a", 1, 0, "A red coat."),
            person("b", 1, 0, "A red coat."),
            person("c", 2, 0, "a  RED coat."),
        )
        assert found["captions_shared_by_identities"].number == 1
        assert "(a, c)" in found["captions_shared_by_identities"].examples[0]

    def test_images_without_captions_among_others(self):
        found = self.lint(person("a", 1, 0, "A red coat."), person("b", 2))
        assert found["captions_missing"].examples == ("b",)

    def test_only_the_first_examples_are_kept(self):
        images = [person(str(i), i, 0, f"Someone {i}.") for i in range(9)]
        found = self.lint(*images)["captions_without_attribute"]
        assert found.number == 9 and len(found.examples) == 3
        text = inspect_split(split_of(images), files=False).to_text()
        assert "warning: 9 captions without a word" in text and "and 6 more" in text


class TestFiles:
    def test_finds_broken_images_and_duplicates(self, build_market):
        root = build_market(suffix=".png", cameras=1, per_camera=1, train=2, test=1)
        split = market1501(root)
        a, b = (image.path for image in split.train)
        Image.effect_noise((8, 16), 60).convert("RGB").save(a)
        shutil.copy(a, b)
        with open(split.query[0].path, "r+b") as file:
            file.truncate(50)
        report = inspect_split(split, progress=False)
        found = {finding.name: finding for finding in report.findings}
        assert found["broken_images"].severity == "error"
        assert split.query[0].path in found["broken_images"].examples[0]
        assert found["duplicates_across_identities"].number == 1
        assert "duplicates_in_train_and_test" not in found
        assert not report.fit

    def test_finds_training_images_in_the_gallery(self, build_market):
        split = market1501(build_market(suffix=".png"))
        shutil.copy(split.train[0].path, split.gallery[0].path)
        report = inspect_split(split)
        found = {finding.name: finding for finding in report.findings}
        assert found["duplicates_in_train_and_test"].severity == "warning"


class TestCommand:
    def test_fit(self, build_market, capsys, tmp_path):
        root = build_market()
        sheet = tmp_path / "new" / "sheet.png"
        assert main(["market1501", root, "--quiet", "--sheet", str(sheet)]) == 0
        output = capsys.readouterr().out
        assert "published 12,936" in output
        assert output.endswith("\nfit for training\n")
        with Image.open(sheet) as image:
            assert image.size[0] >= 2 * 64
        assert os.listdir(sheet.parent) == ["sheet.png"]

    def test_json_and_not_fit(self, build_market, capsys):
        root = build_market()
        path = os.path.join(root, "query", os.listdir(os.path.join(root, "query"))[0])
        os.truncate(path, 10)
        assert main(["market1501", root, "--quiet", "--json"]) == 1
        report = json.loads(capsys.readouterr().out)
        assert report["fit_for_training"] is False
        assert report["findings"][0]["name"] == "broken_images"
        assert report["published"]["train"]["images"] == 12936
        assert main(["market1501", root, "--quiet", "--skip-files"]) == 0

    @pytest.mark.parametrize(
        "arguments, message",
        [
            (["market1501", "none"], "error: the data set's root 'none' is not a"),
            (["market", "none"], "error: no reader for a data set 'market'; did you"),
            (["market1501", "none", "x"], "error: an option is key=value"),
            (["market1501", "none", "x=1"], "error: the reader of market1501 has no"),
        ],
    )
    def test_unreadable(self, capsys, arguments, message):
        assert main(arguments) == 2
        assert capsys.readouterr().err.startswith(message)
