# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os

import pytest
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.msmt17 import msmt17
from torchmultimodal_reid.data.validation import check_split

FIRST = "0000/0000_000_01_0303morning_0015_0.jpg"
LISTS = {
    "list_train.txt": [(FIRST, 0)],
    "list_val.txt": [("0001/0001_000_15_0303noon_0002_1.jpg", 1)],
    "list_query.txt": [("0000/0000_000_02_0303morning_0001_0.jpg", 0)],
    "list_gallery.txt": [
        ("0000/0000_001_03_0303morning_0001_0.jpg", 0),
        ("0001/0001_002_02_0303noon_0001_0.jpg", 1),
    ],
}


@pytest.fixture
def build(touch_files):
    def write(folder="MSMT17_V1", train="train", test="test"):
        names = []
        for file, lines in LISTS.items():
            part = train if file in ("list_train.txt", "list_val.txt") else test
            names += [f"{folder}/{part}/{name}" for name, _ in lines]
        root = touch_files(names)
        for file, lines in LISTS.items():
            with open(os.path.join(root, folder, file), "w") as out:
                out.writelines(f"{name} {identity}\n" for name, identity in lines)
        return root

    return write


def test_version_1(build, facts):
    root = build()
    split = msmt17(root)
    assert (split.name, split.root) == ("msmt17_v1", os.path.join(root, "MSMT17_V1"))
    assert [(i.identity, i.camera) for i in split.train] == [(0, 0), (1, 14)]
    # the lists count the people of the test folder from 0 again
    assert [(i.identity, i.camera) for i in split.gallery] == [(10000, 2), (10001, 1)]
    assert all(os.path.isfile(i.path) for i in split.train + split.query)
    assert check_split(split).shared_identities == ()


def test_version_2(build):
    root = build("MSMT17_V2", "mask_train_v2", "mask_test_v2")
    assert msmt17(root).name == "msmt17_v2"
    split = msmt17(os.path.join(root, "MSMT17_V2"), include_val=False)
    assert len(split.train) == 1 and "mask_train_v2" in split.train[0].path


def test_both_versions(build):
    build("MSMT17_V2", "mask_train_v2", "mask_test_v2")
    with pytest.raises(DataError, match="give the folder of one version"):
        msmt17(build())


def test_neither_version(touch_files):
    with pytest.raises(DataError, match="mask_train_v2 and mask_test_v2.*found photos"):
        msmt17(touch_files(["photos/a.jpg"]))


@pytest.mark.parametrize("file", LISTS)
def test_missing_list(build, file):
    root = build()
    os.remove(os.path.join(root, "MSMT17_V1", file))
    with pytest.raises(DataError, match=file):
        msmt17(root)


@pytest.mark.parametrize(
    "line, message",
    [
        (FIRST, "line 2: .* does not parse; expected <path> <identity>"),
        (f"{FIRST} one", "line 2: .* does not parse"),
        (f"{FIRST} -1", "line 2: .* does not parse"),
        (f"{FIRST} 99999", "line 2: identity '99999' in"),
        (
            "0000/0000.jpg 0",
            "line 2: the path '0000/0000.jpg' does not tell the camera",
        ),
        ("0000/0000_000_00_x.jpg 0", "line 2: camera 0 in"),
        ("0000/0000_000_02_x.jpg 0", "line 2: no image '0000/0000_000_02_x.jpg' in"),
        (f"{FIRST} 0", "line 2: .* is on line 1 already"),
    ],
)
def test_bad_line(build, line, message):
    root = build()
    with open(os.path.join(root, "MSMT17_V1", "list_train.txt"), "a") as out:
        out.write(line + "\n")
    with pytest.raises(DataError, match=f"list_train.txt: {message}"):
        msmt17(root)


@pytest.mark.parametrize(
    "line",
    [
        "x" * 5000 + " 0",
        "x" * 5000,
        "0000/0000_000_02_" + "x" * 5000 + ".jpg 0",
        "0000/0000_000_00_" + "x" * 5000 + ".jpg 0",
        f"{FIRST} " + "9" * 5000,
    ],
)
def test_long_names_and_numbers_are_cut_in_messages(build, line):
    root = build()
    with open(os.path.join(root, "MSMT17_V1", "list_train.txt"), "a") as out:
        out.write(line + "\n")
    with pytest.raises(DataError) as error:
        msmt17(root)
    assert "list_train.txt: line 2: " in str(error.value)
    assert len(str(error.value)) < 600
