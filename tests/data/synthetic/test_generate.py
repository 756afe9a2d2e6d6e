# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import hashlib
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.synthetic import (
    generate as generate_module,
    request as request_module,
)
from torchmultimodal_reid.data.synthetic.__main__ import main
from torchmultimodal_reid.data.synthetic.contact_sheet import main as sheet_main
from torchmultimodal_reid.data.synthetic.generate import generate
from torchmultimodal_reid.data.synthetic.request import Request

REQUEST = Request(
    identities=4,
    cameras=2,
    images_per_camera=2,
    test_identities=2,
    image_size=(32, 16),
    distractors=1,
)


def digests(root: Path):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic") / "data"
    assert generate(REQUEST, str(out), workers=1, progress=False)
    return out


def test_same_bytes_with_any_number_of_processes(root, tmp_path):
    generate(REQUEST, str(tmp_path / "other"), workers=3, progress=False)
    assert digests(tmp_path / "other") == digests(root)


def test_layout_is_market1501s(root):
    split = market1501(str(root))
    train, query, gallery = (
        {p.identity for p in part} for part in (split.train, split.query, split.gallery)
    )
    assert train == {1, 2} and query == {3, 4} and gallery == {0, 3, 4}
    assert (len(split.train), len(split.query), len(split.gallery)) == (8, 4, 4 + 4)
    # one query for each person and camera
    assert sorted((p.identity, p.camera) for p in split.query) == [
        (3, 0),
        (3, 1),
        (4, 0),
        (4, 1),
    ]
    for image in (*split.train, *split.query, *split.gallery):
        assert re.fullmatch(r"\d{4}_c[1-9]s\d+_\d{6}_\d\d\.jpg", Path(image.path).name)
        assert len(image.captions) == 2 and all(image.captions)
    with Image.open(split.train[0].path) as picture:
        assert picture.size == (16, 32) and picture.mode == "RGB"


def test_records(root):
    records = json.loads((root / "captions.json").read_text())
    assert [r["file_path"] for r in records] == sorted(r["file_path"] for r in records)
    images = {str(p.relative_to(root)) for p in root.rglob("*.jpg")}
    assert {r["file_path"] for r in records} == images
    for record in records:
        assert record["split"] == (
            "train" if record["file_path"].startswith("bounding_box_train") else "test"
        )
        assert int(Path(record["file_path"]).name[:4]) == record["id"]
        assert len(record["told"]) == len(record["captions"]) == 2
        for told in record["told"]:
            assert set(told.items()) <= set(record["attributes"].items())


def test_provenance(root):
    found = json.loads((root / "dataset.json").read_text())
    assert (
        found["identities"] == 4
        and found["image_size"] == [32, 16]
        and found["version"] >= 1
    )
    assert found["counts"] == {
        "bounding_box_train": 8,
        "query": 4,
        "bounding_box_test": 8,
        "captions": 40,
    }


def test_more_people_leave_the_first_ones_as_they_are(root, tmp_path):
    more = REQUEST._replace(identities=5, test_identities=3, distractors=0)
    generate(more, str(tmp_path / "more"), workers=1, progress=False)
    before, after = digests(root), digests(tmp_path / "more")
    same = [
        name
        for name in before
        if name.endswith(".jpg") and name.split("/")[1][:4] != "0000"
    ]
    assert len(same) == 16
    assert all(after[name] == before[name] for name in same)


@pytest.mark.parametrize("change", [{"seed": 1}, {"domain": 1}])
def test_another_seed_or_domain_shows_others(root, tmp_path, change):
    generate(
        REQUEST._replace(**change), str(tmp_path / "other"), workers=1, progress=False
    )
    one, other = digests(root), digests(tmp_path / "other")
    assert set(one) == set(other)
    assert not any(one[name] == other[name] for name in one)


def test_second_run_finds_the_first(root):
    before = digests(root)
    assert not generate(REQUEST, str(root), progress=False)
    assert digests(root) == before


def test_refuses_a_folder_with_another_data_set(root):
    with pytest.raises(
        DataError,
        match=r"its seed is 0, 5 was asked for; choose another folder or remove",
    ):
        generate(REQUEST._replace(seed=5), str(root), progress=False)


def test_refuses_a_data_set_of_another_version(root, monkeypatch):
    monkeypatch.setattr(request_module, "RENDERER_VERSION", 10**6)
    with pytest.raises(DataError, match="its version is"):
        generate(REQUEST, str(root), progress=False)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_refuses_a_folder_with_something_else(tmp_path, content):
    (tmp_path / "thesis.tex").write_text("mine")
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(DataError, match="another (folder|data set)"):
        generate(REQUEST, str(tmp_path), progress=False)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_takes_an_empty_folder(tmp_path):
    small = Request(identities=1, cameras=2, images_per_camera=1, image_size=(32, 16))
    assert generate(small, str(tmp_path), workers=1, progress=False)
    assert (tmp_path / "captions.json").is_file()


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    calls = []

    def interrupted(*args):
        calls.append(args)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return original(*args)

    original = generate_module.render
    monkeypatch.setattr(generate_module, "render", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(REQUEST, str(tmp_path / "data"), workers=1, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change, message",
    [
        ({"identities": 0}, "identities must be at least 1, got 0"),
        ({"cameras": 1}, "cameras must be at least 2, got 1"),
        ({"cameras": 10}, "at most 9 cameras and 9999 persons, got 10 cameras"),
        (
            {"test_identities": 9},
            "test_identities must be at most identities = 4, got 9",
        ),
        (
            {"images_per_camera": 1},
            "images_per_camera must be at least 2 where there are test identities",
        ),
        (
            {"image_size": (4, 2)},
            "image_size must be two numbers from 16 to 1024, got 4 2",
        ),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_impossible_requests(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        generate(REQUEST._replace(**change), str(tmp_path / "data"), progress=False)
    assert not (tmp_path / "data").exists()


def test_command_line(tmp_path, capsys):
    out = str(tmp_path / "data")
    arguments = f"--out {out} --identities 2 --cameras 2 --images-per-camera 2 --image-size 32 16 --workers 1 --quiet"
    assert main(arguments.split()) == 0
    assert capsys.readouterr().out == f"{out}: written\n"
    assert main(arguments.split()) == 0
    assert capsys.readouterr().out == f"{out}: already there\n"
    assert main((arguments + " --train-share 1.0").split()) == 2
    assert "its test_identities is 1, 0 was asked for" in capsys.readouterr().err
    assert main((arguments + " --train-share 2").split()) == 2
    assert "--train-share must be from 0 to 1, got 2.0" in capsys.readouterr().err


def test_command_line_without_a_place_to_write(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    arguments = ["--out", str(tmp_path / "file" / "data"), "--identities", "2"]
    assert main(arguments) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_contact_sheet(root, tmp_path, capsys):
    out = tmp_path / "sheets" / "sheet.png"
    assert (
        sheet_main([str(root), "--out", str(out), "--rows", "3", "--per-camera", "2"])
        == 0
    )
    with Image.open(out) as sheet:
        # 2 cameras with 2 pictures of 16 pixels and a line between; 3 persons
        assert sheet.width == 4 * 17 and sheet.height >= 3 * 32
    capsys.readouterr()
    assert sheet_main([str(tmp_path), "--out", str(out)]) == 2
    assert "holds no captions.json" in capsys.readouterr().err
