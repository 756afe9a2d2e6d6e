# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
from examples.common.config import load_config
from examples.common.data import DataConfig
from examples.common.protocols import read_targets, read_training
from examples.common.selection import training_data
from examples.vtbr.finetune_definitions import FinetuneConfig
from torchmultimodal_reid.data.errors import DataError


@pytest.fixture
def roots(build_market, tmp_path):
    """Two data sets of Market-1501's layout, the second with four cameras, and QMUL i-LIDS as empty files."""
    people = tmp_path / "ilids"
    people.mkdir()
    for person in range(1, 120):
        for shot in range(1, 5):
            (people / f"{person:04d}{shot:03d}.jpg").touch()
    return {
        "market1501": build_market(),
        "dukemtmc": build_market("duke", train=3, cameras=4, captions=False),
        "ilids": str(people),
    }


def config(roots, protocol, *names, **more):
    return DataConfig(protocol=protocol, roots={n: roots[n] for n in names}, **more)


def test_training_needs_no_folder_of_the_target(roots):
    split = read_training(config(roots, "market1501-to-msmt17", "market1501"))
    assert split.name == "market1501-to-msmt17" and len(split.train) == 16
    assert split.query == split.gallery == ()
    assert all(image.captions for image in split.train)


def test_sources_are_merged_and_their_people_and_cameras_kept_apart(roots):
    names = ["market1501", "dukemtmc", "cuhk03"]
    with pytest.raises(DataError, match="needs cuhk03; give its folder: data.roots.cu"):
        read_training(config(roots, "leave-one-out:msmt17", *names[:2]))
    roots["cuhk03"] = roots["market1501"]
    merged = config(roots, "leave-one-out:msmt17", *names, validation_share=0)
    data = training_data(merged, 0)
    assert {image.identity for image in data.images} == set(range(4 + 3 + 4))
    assert {image.camera for image in data.images} == set(range(2 + 4 + 2))
    assert data.watched is None


def test_validation_is_cut_from_the_sources(roots):
    data = training_data(
        config(roots, "market1501-to-ilids", "market1501", validation_share=0.5), 0
    )
    assert data.watched_name == "validation split" and len(data.images) == 8


def test_choosing_on_the_target(roots):
    on_test = config(
        roots, "supervised:market1501", "market1501", select_on_test_set=True
    )
    data = training_data(on_test, 0)
    assert data.watched_name == "test set" and len(data.watched.query) == 4
    split = config(roots, "market1501-to-ilids", "market1501", select_on_test_set=True)
    with pytest.raises(DataError, match="is tested on splits of ilids; there is no"):
        training_data(split, 0)


def test_targets(roots):
    (target,) = read_targets(config(roots, "ilids-to-market1501", "market1501"))
    assert (target.name, len(target.splits), target.stamp) == ("market1501", 1, None)
    (target,) = read_targets(config(roots, "market1501-to-ilids", "ilids"))
    assert len(target.splits) == 10 and target.stamp["seed"] == 0
    images = target.all_images()
    asked = {image for split in target.splits for image in split.query}
    assert len(images.query) == len(asked) and set(images.query) == asked
    (other,) = read_targets(config(roots, "market1501-to-ilids", "ilids", split_seed=1))
    assert other.stamp["sha256"] != target.stamp["sha256"]


def test_no_model_is_tested_on_people_that_it_learned_from(roots):
    own = config(roots, "supervised:ilids", "ilids")
    for read in (read_training, read_targets):
        with pytest.raises(
            DataError, match="each of the splits of ilids needs a model"
        ):
            read(own)


def test_without_a_protocol_there_is_one_target(roots):
    (target,) = read_targets(DataConfig(root=roots["market1501"], name="mine"))
    assert (target.name, len(target.splits[0].query)) == ("mine", 4)


@pytest.mark.parametrize(
    "more, message",
    [
        ({"protocol": "P4"}, "unknown protocol 'P4', expected one of supervised:A"),
        (
            {"protocol": "P1", "roots": {"viperr": "x"}},
            "data.roots.viperr: protocol P1",
        ),
        (
            {"protocol": "P1", "options": {"split": 3}},
            "data.options.split: protocol P1",
        ),
        ({"protocol": "P1", "captions": "c"}, "give data.options.market1501.captions"),
        ({"roots": {"viper": "x"}}, "data.roots is for the data sets of data.protocol"),
    ],
)
def test_bad_configuration(more, message):
    with pytest.raises(ValueError, match=message):
        DataConfig(**more)


def test_options_are_by_data_set(roots):
    options = {"ilids": {"missing_captions": "allow"}, "market1501": None}
    assert read_targets(config(roots, "market1501-to-ilids", "ilids", options=options))
    with pytest.raises(DataError, match="the reader of ilids has no option colour"):
        options = {"ilids": {"colour": 1}}
        read_targets(config(roots, "market1501-to-ilids", "ilids", options=options))


def test_one_line_of_configuration():
    arguments = "output=o data.protocol=P1 data.roots.viper=v data.options.grid.split=3"
    data = load_config(FinetuneConfig, arguments.split())[0].data
    assert (data.protocol, data.title, data.root) == ("P1", "P1", "")
    assert data.roots == {"viper": "v"} and data.options == {"grid": {"split": 3}}
    with pytest.raises(ValueError, match="missing: data.root"):
        load_config(FinetuneConfig, ["output=o"])
