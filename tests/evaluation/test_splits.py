# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


import hashlib
import json
from pathlib import Path

import pytest
import torch
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics
from torchmultimodal_reid.evaluation.splits import (
    average_splits,
    draw_splits,
    hash_splits,
    SmallSplit,
    SPLIT_RULES,
)
from torchmultimodal_reid.utils.seeding import derive_seed


def viper(root):
    return [
        PersonImage(f"{root}/{folder}/{person:03}.bmp", person, camera)
        for person in range(632)
        for camera, folder in enumerate(("cam_a", "cam_b"))
    ]


def prid(root):
    """385 people under camera A, 749 under B; only the first 200 numbers mean the same person."""
    counts = (("cam_a", 0, 385), ("cam_b", 1, 749))
    return [
        PersonImage(f"{root}/single_shot/{folder}/person_{person:04}.png", person, cam)
        for folder, cam, count in counts
        for person in range(1, count + 1)
    ]


def grid(root):
    paired = [
        PersonImage(f"{root}/{folder}/{person:04}_{camera}_x.jpeg", person, camera)
        for person in range(1, 251)
        for folder, camera in (("probe", 1), ("gallery", 5))
    ]
    nobody = [
        PersonImage(f"{root}/gallery/0000_{i % 8}_{i}.jpeg", 0, i % 8)
        for i in range(775)
    ]
    return paired + nobody


def ilids(root):
    """119 people with four images each: 476."""
    return [
        PersonImage(f"{root}/images/{person:04}{shot:03}.jpg", person, 0)
        for person in range(1, 120)
        for shot in range(1, 5)
    ]


READ = {"viper": viper, "prid2011": prid, "grid": grid, "ilids": ilids}
COUNTS = {"viper": (316, 316), "prid2011": (100, 649), "grid": (125, 900)}


@pytest.mark.parametrize("name", sorted(READ))
def test_counts_are_the_published_ones_and_every_query_has_one_match(name):
    splits, stamp = draw_splits(READ[name]("r"), "r", SPLIT_RULES[name])
    assert stamp["count"] == len(splits) == 10
    for query, gallery in splits:
        assert (len(query), len(gallery)) == COUNTS.get(name, (60, 60))
        for image in query:
            matches = [other for other in gallery if other.identity == image.identity]
            assert len(matches) == 1 and matches[0].path != image.path
    # a person is tested in about half of the splits: not the same ones each time
    assert (
        len({tuple(image.identity for image in split.query) for split in splits}) == 10
    )


def test_people_are_drawn_by_the_order_of_their_hashes():
    splits, _ = draw_splits(viper("r"), "r", SPLIT_RULES["viper"], seed=7, count=1)
    order = sorted(range(632), key=lambda i: derive_seed(7, "viper", 1, 0, "person", i))
    assert [image.identity for image in splits[0].query] == sorted(order[:316])
    assert all("cam_a" in image.path for image in splits[0].query)
    assert all("cam_b" in image.path for image in splits[0].gallery)


def test_prid_numbers_beyond_200_are_distractors_and_nobody_is_asked_for():
    for query, gallery in draw_splits(prid("r"), "r", SPLIT_RULES["prid2011"]).splits:
        assert max(image.identity for image in query) <= 200
        assert sum(image.identity > 200 for image in gallery) == 549


def test_hash_knows_the_split_and_not_the_machine():
    rule = SPLIT_RULES["ilids"]

    def stamp(root, seed=0, images=None):
        found = draw_splits(images or ilids(root), root, rule, seed=seed)
        return found.stamp["sha256"]

    assert stamp("/a/b") == stamp("elsewhere")
    assert stamp("r") == stamp("r", images=ilids("r")[::-1] + ilids("r")[:5])
    assert stamp("r") != stamp("r", seed=1)


def test_hash_is_of_relative_paths_and_identities():
    split = SmallSplit(
        (PersonImage("r/q/1.jpg", 1, 0),), (PersonImage("r/g/1.jpg", 1, 1),)
    )
    text = json.dumps([[[["q/1.jpg", 1]], [["g/1.jpg", 1]]]])
    assert hash_splits([split], "r") == hashlib.sha256(text.encode()).hexdigest()


def test_incomplete_data_set_is_refused():
    with pytest.raises(
        DataError, match="viper under r: expected 632 people .*, found 631 among 1263"
    ):
        draw_splits(viper("r")[1:], "r", SPLIT_RULES["viper"])
    with pytest.raises(DataError, match="expected 775 distractors, found 774"):
        draw_splits(grid("r")[:-1], "r", SPLIT_RULES["grid"])


def metrics(value, queries=4):
    cmc = torch.tensor([value, 1.0])
    return RankingMetrics(value, value / 2, value / 4, cmc, None, queries, queries)


def test_average_over_splits():
    mean, deviation = average_splits([metrics(0.25), metrics(0.75)])
    assert (mean.mAP, mean.mAP_trapezoid, mean.mINP) == (0.5, 0.25, 0.125)
    assert mean.cmc.tolist() == [0.5, 1.0] and mean.num_queries == 4
    assert deviation["mAP"] == pytest.approx(0.125**0.5)
    assert average_splits([metrics(0.25)]).deviation == {}


def test_splits_of_unequal_size_are_not_averaged():
    with pytest.raises(ValueError, match=r"equally many queries, got \[\(3, 3\), \(4"):
        average_splits([metrics(0.25), metrics(0.75, 3)])


def test_paths_may_be_of_any_form(tmp_path):
    relative = draw_splits(grid("r"), "r", SPLIT_RULES["grid"], count=1)
    absolute = draw_splits(
        grid(Path(tmp_path)), str(tmp_path), SPLIT_RULES["grid"], count=1
    )
    assert relative.stamp == absolute.stamp
