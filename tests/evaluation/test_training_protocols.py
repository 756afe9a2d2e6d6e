# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


import json

import pytest
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.registry import DATASETS
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.evaluation.shared_people import SHARED_PEOPLE, why_not_new
from torchmultimodal_reid.evaluation.training_protocols import (
    ALL_PARTS,
    get_training_protocol,
    LEAVE_ONE_OUT,
    merge_sources,
    PROTOCOL_2_AND_3,
    Source,
    TRAIN,
    TrainingProtocol,
)

KNOWN = ("market1501", "dukemtmc", "msmt17", "cuhk03", "rstpreid")
# forms of name in which source and target may be any two data sets are not among these
FIXED = ["P1", "P1-duke"]
FIXED += [f"leave-one-out:{name}" for name in LEAVE_ONE_OUT]
FIXED += [f"{form}:{name}" for form in ("P2", "P3") for name in PROTOCOL_2_AND_3]


def sources(name):
    protocol = get_training_protocol(name, KNOWN)
    return {source.dataset: source.parts for source in protocol.sources}


@pytest.mark.parametrize(
    "name, learned, tested",
    [
        ("supervised:rstpreid", {"rstpreid": TRAIN}, ("rstpreid",)),
        ("market1501-to-msmt17", {"market1501": TRAIN}, ("msmt17",)),
        (
            "leave-one-out:msmt17",
            {"market1501": TRAIN, "dukemtmc": TRAIN, "cuhk03": TRAIN},
            ("msmt17",),
        ),
        (
            "P1",
            dict.fromkeys(("market1501", "cuhk02", "cuhk03", "cuhk_sysu"), ALL_PARTS),
            ("prid2011", "grid", "viper", "ilids"),
        ),
        (
            "P2:cuhk03",
            {"market1501": TRAIN, "msmt17": TRAIN, "cuhk_sysu": ALL_PARTS},
            ("cuhk03",),
        ),
        (
            "P3:market1501",
            dict.fromkeys(("msmt17", "cuhk03", "cuhk_sysu"), ALL_PARTS),
            ("market1501",),
        ),
    ],
)
def test_sources_and_targets(name, learned, tested):
    assert sources(name) == learned
    protocol = get_training_protocol(name, KNOWN)
    assert protocol.targets == tested
    assert protocol.name == name and protocol.version == 1
    assert set(protocol.datasets) == {*learned, *tested}
    assert json.loads(json.dumps(protocol.stamp()))["name"] == name


def test_protocol_1_with_duke():
    assert "dukemtmc" in sources("P1-duke") and "dukemtmc" not in sources("P1")


@pytest.mark.parametrize(
    "name, message",
    [
        ("P4", "unknown protocol 'P4', expected one of supervised:A, A-to-B"),
        ("P2", "unknown protocol 'P2'"),
        (
            "supervised:markt1501",
            "unknown data set 'markt1501'; did you mean 'market1501'",
        ),
        ("market1501-to-msmt", "unknown data set 'msmt'; did you mean 'msmt17'"),
        ("market1501-to-market1501", "that is supervised:market1501"),
        ("leave-one-out:rstpreid", "unknown data set 'rstpreid'"),
        ("P3:dukemtmc", "Known here: market1501, msmt17, cuhk03"),
    ],
)
def test_unknown_protocols(name, message):
    with pytest.raises(ValueError, match=message):
        get_training_protocol(name, KNOWN)


@pytest.mark.parametrize(
    "source, target, reason",
    [
        ("dukemtmc", "occluded_duke", "Occluded-DukeMTMC is another cut of DukeMTMC"),
        ("msmt17", "icfg_pedes", "are captioned images of MSMT17"),
        ("rstpreid", "icfg_pedes", "are captioned images of MSMT17"),
        ("cuhk_pedes", "market1501", "CUHK-PEDES is captioned images of CUHK03, Mark"),
        ("cuhk03", "cuhk_pedes", "CUHK-PEDES is captioned images of CUHK03, Market"),
    ],
)
def test_no_generalisation_to_people_that_were_learned_from(source, target, reason):
    for one, other in ((source, target), (target, source)):
        message = f"'{one}-to-{other}' is no test on new people: .*{reason}.*supervised:{other}"
        with pytest.raises(ValueError, match=message):
            get_training_protocol(f"{one}-to-{other}", tuple(DATASETS))


def test_catalogue_of_shared_people():
    for first, others, _ in SHARED_PEOPLE:
        assert {first, *others} <= set(DATASETS)
    assert why_not_new("cuhk03", "cuhk_sysu") is None
    for name in FIXED:
        protocol = get_training_protocol(name, tuple(DATASETS))
        for source in protocol.sources:
            for target in protocol.targets:
                assert source.dataset != target
                assert why_not_new(source.dataset, target) is None


def split(name, *parts):
    """Train, query and gallery by (identity, camera)."""
    return ReIDSplit(
        name,
        name,
        *(
            tuple(
                PersonImage(f"{name}/{part}/{row}.jpg", identity, camera)
                for row, (identity, camera) in enumerate(rows)
            )
            for part, rows in enumerate(parts)
        ),
    )


def test_merged_people_and_cameras_do_not_meet():
    protocol = TrainingProtocol(
        "toy", 1, (Source("market1501"), Source("msmt17", ALL_PARTS)), ()
    )
    market = split("market1501", [(2, 0), (7, 1), (2, 1)], [(9, 0)], [(9, 1)])
    # both parts count their people from 0, as MSMT17 does
    msmt = split("msmt17", [(0, 0)], [(0, 0), (1, 3)], [(0, 5), (1, 0)])
    merged = merge_sources(protocol, {"market1501": market, "msmt17": msmt})
    assert [image.identity for image in merged] == [0, 1, 0, 2, 3, 4, 3, 4]
    assert [image.camera for image in merged] == [0, 1, 1, 2, 2, 3, 4, 2]


def test_merged_test_parts_leave_junk_and_distractors_out():
    protocol = TrainingProtocol("toy", 1, (Source("market1501", ALL_PARTS),), ())
    market = split("market1501", [(2, 0)], [(3, 0)], [(0, 1), (-1, 1), (3, 1)])
    merged = merge_sources(protocol, {"market1501": market})
    assert [image.identity for image in merged] == [0, 1, 1]


def test_a_missing_or_empty_source_is_told():
    protocol = TrainingProtocol("toy", 1, (Source("grid"),), ())
    with pytest.raises(DataError, match="protocol toy needs grid, which is missing"):
        merge_sources(protocol, {})
    with pytest.raises(DataError, match="learns from train of grid, which holds no"):
        merge_sources(protocol, {"grid": split("grid", [], [(1, 0)], [(1, 1)])})
