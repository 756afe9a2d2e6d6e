# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


import hashlib
import json

import pytest
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.half_splits import half_split
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.viper import viper
from torchmultimodal_reid.evaluation.splits import draw_splits, hash_splits, SPLIT_SETS

NAMES = {
    "viper": [
        f"{folder}/{person:03}_0.bmp"
        for folder in ("cam_a", "cam_b")
        for person in range(632)
    ],
    # 385 people under camera A, 749 under B; only the first 200 numbers mean the same person
    "prid2011": [
        f"{folder}/person_{person:04}.png"
        for folder, count in (("cam_a", 385), ("cam_b", 749))
        for person in range(1, count + 1)
    ],
    "grid": [
        f"{folder}/{person:04}_{camera}_x.jpeg"
        for folder, camera in (("probe", 1), ("gallery", 5))
        for person in range(1, 251)
    ]
    + [f"gallery/0000_{1 + i % 8}_{i}.jpeg" for i in range(775)],
    # 119 people with four images each: 476
    "ilids": [
        f"{person:04}{shot:03}.jpg" for person in range(1, 120) for shot in range(1, 5)
    ],
}
COUNTS = {"viper": (316, 316), "prid2011": (100, 649), "grid": (125, 900)}


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Each small set as empty files, which no reader opens. Do not change them."""
    roots = {}
    for name, files in NAMES.items():
        roots[name] = tmp_path_factory.mktemp(name)
        write(roots[name], files)
    return {name: str(root) for name, root in roots.items()}


def write(root, files):
    for file in files:
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).touch()


@pytest.mark.parametrize("name", SPLIT_SETS)
def test_counts_are_the_published_ones_and_every_query_has_one_match(name, roots):
    splits, stamp = draw_splits(name, roots[name])
    assert stamp["count"] == len(splits) == 10
    for split in splits:
        query, gallery = split.query, split.gallery
        assert (len(query), len(gallery)) == COUNTS.get(name, (60, 60))
        for image in query:
            matches = [other for other in gallery if other.identity == image.identity]
            assert len(matches) == 1 and matches[0].path != image.path
    # a person is tested in about half of the splits: not the same ones each time
    assert (
        len({tuple(image.identity for image in split.query) for split in splits}) == 10
    )


def test_the_splits_are_those_that_the_reader_draws(roots):
    splits, stamp = draw_splits("viper", roots["viper"], seed=7, count=3)
    assert splits[2] == viper(roots["viper"], split=2, split_seed=7)
    tested = half_split(range(632), split=2, seed=7).test
    assert tuple(image.identity for image in splits[2].query) == tested
    assert (stamp["seed"], stamp["rule"]) == (7, "half splits, version 1")


def test_options_reach_the_reader(roots):
    splits, _ = draw_splits("viper", roots["viper"], count=1, query_camera=1)
    assert all("cam_b" in image.path for image in splits[0].query)
    with pytest.raises(ValueError, match="option split of viper is set by the average"):
        draw_splits("viper", roots["viper"], split=3)


def test_without_a_seed_the_splits_are_the_published_ones_if_there_are_any(roots):
    stamp = draw_splits("viper", roots["viper"], seed=None, count=1).stamp
    assert stamp == draw_splits("viper", roots["viper"], seed=0, count=1).stamp
    with pytest.raises(DataError, match="the published partitions are missing"):
        draw_splits("grid", roots["grid"], seed=None)


def test_classic_splits_of_cuhk03_are_the_published_ones_whatever_the_seed(monkeypatch):
    def read(name, root, split):
        images = tuple(
            PersonImage(f"r/{person}.png", person, 0) for person in range(1467)
        )
        order = images[split:] + images[:split]
        return ReIDSplit(name, root, order[100:], order[:100], order[:100])

    monkeypatch.setattr("torchmultimodal_reid.evaluation.splits.read_dataset", read)
    splits, stamp = draw_splits("cuhk03_classic", "r", seed=7)
    assert len(splits) == stamp["count"] == 20
    assert (stamp["rule"], stamp["seed"]) == ("published", None)
    assert splits[3].query[0].identity == 3


def test_sets_of_one_split_are_refused():
    with pytest.raises(ValueError, match="market1501 has no random splits"):
        draw_splits("market1501", "r")


def test_prid_numbers_beyond_200_are_distractors_and_nobody_is_asked_for(roots):
    for split in draw_splits("prid2011", roots["prid2011"]).splits:
        assert max(image.identity for image in split.query) <= 200
        assert sum(image.identity > 200 for image in split.gallery) == 549


def test_hash_knows_the_split_and_not_the_machine(roots, tmp_path):
    write(tmp_path, NAMES["ilids"])

    def sha256(root, **options):
        return draw_splits("ilids", str(root), **options).stamp["sha256"]

    assert sha256(tmp_path) == sha256(roots["ilids"])
    assert sha256(tmp_path) != sha256(tmp_path, seed=1)


def test_hash_is_of_relative_paths_and_identities():
    query = (PersonImage("r/q/1.jpg", 1, 0),)
    split = ReIDSplit("s", "r", (), query, (PersonImage("r/g/1.jpg", 1, 1),))
    text = json.dumps([[[["q/1.jpg", 1]], [["g/1.jpg", 1]]]])
    assert hash_splits([split]) == hashlib.sha256(text.encode()).hexdigest()


def test_incomplete_data_set_is_refused(tmp_path):
    # nobody of number 0: the others can be halved, but it is another data set
    write(tmp_path, [name for name in NAMES["viper"] if "/000_" not in name])
    with pytest.raises(
        DataError, match="viper under .*: expected 316 people to train on .*, found 315"
    ):
        draw_splits("viper", str(tmp_path))
    (tmp_path / "grid").mkdir()
    write(tmp_path / "grid", NAMES["grid"][:-1])
    with pytest.raises(DataError, match="expected 900 gallery images .*, found 899"):
        draw_splits("grid", str(tmp_path / "grid"))
