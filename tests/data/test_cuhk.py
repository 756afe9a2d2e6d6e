# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""CUHK02, CUHK03 and CUHK-SYSU."""

import os
from unittest import mock

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchmultimodal_reid.data.cuhk02 import cuhk02
from torchmultimodal_reid.data.cuhk03 import cuhk03
from torchmultimodal_reid.data.cuhk03_classic import cuhk03_classic
from torchmultimodal_reid.data.cuhk_sysu import cuhk_sysu
from torchmultimodal_reid.data.errors import DataError

NAMES = [
    f"1_{p:03d}_{1 if n < 6 else 2}_{n:02d}.png" for p in (1, 2) for n in (1, 2, 6)
]


def write_release(path, empty_cell=True):
    """cuhk-03.mat as MATLAB writes it: references to arrays with their axes reversed. Two people in the first pair."""
    with h5py.File(path, "w") as file:
        reference = h5py.special_dtype(ref=h5py.Reference)
        held = file.create_group("#refs#")

        def hold(value):
            return held.create_dataset(str(len(held)), data=value).ref

        for boxes in ("detected", "labeled"):
            pairs = file.create_dataset(boxes, (1, 5), dtype=reference)
            for pair in range(5):
                people = 2 if pair == 0 else 0
                cells = np.empty((10, people), dtype=object)
                for number in range(10):
                    for person in range(people):
                        image = np.zeros((3, 4, 8), dtype=np.uint8)  # 8 high, 4 wide
                        image[0, 0, 7] = 10 * person + number + 1
                        used = number in (0, 1, 5)
                        cells[number, person] = hold(
                            image if used else np.zeros(2, dtype=np.uint64)
                        )
                name = f"cells-{boxes}-{pair}"
                place = held.create_dataset(name, cells.shape, dtype=reference)
                if people:
                    place[...] = cells
                pairs[0, pair] = place.ref
        tests = file.create_dataset("testsets", (1, 2), dtype=reference)
        tests[0, 0] = hold(np.array([[1.0], [2.0]]))
        tests[0, 1] = hold(np.array([[1.0], [1.0]]))


def write_config(path, **changes):
    names = np.empty((len(NAMES), 1), dtype=object)
    names[:, 0] = NAMES
    content = {
        "filelist": names,
        "labels": np.array([[1], [1], [1], [2], [2], [2]]),
        "train_idx": np.array([[1], [2], [3]]),
        "query_idx": np.array([[4], [6]]),
        "gallery_idx": np.array([[5]]),
    }
    content.update(changes)
    savemat(path, {key: value for key, value in content.items() if value is not None})


class TestCUHK03:
    @pytest.fixture
    def root(self, tmp_path):
        root = tmp_path / "cuhk03"
        (root / "cuhk03_release").mkdir(parents=True)
        write_release(root / "cuhk03_release" / "cuhk-03.mat")
        for boxes in ("detected", "labeled"):
            write_config(root / f"cuhk03_new_protocol_config_{boxes}.mat")
        return root

    def test_new_protocol(self, root, facts):
        split = cuhk03(str(root))
        assert split.name == "cuhk03_detected"
        assert facts(split.train) == [
            ("1_001_1_01.png", 1, 0),
            ("1_001_1_02.png", 1, 0),
            ("1_001_2_06.png", 1, 1),
        ]
        assert facts(split.query) == [
            ("1_002_1_01.png", 2, 0),
            ("1_002_2_06.png", 2, 1),
        ]
        assert facts(split.gallery) == [("1_002_1_02.png", 2, 0)]
        assert not os.path.exists(root / "images_labeled")

    def test_images_are_extracted_once(self, root):
        path = cuhk03(str(root)).query[0].path
        image = np.asarray(Image.open(path))
        # MATLAB's row 8, column 1, red
        assert image.shape == (8, 4, 3) and image[7, 0, 0] == 11 and image.sum() == 11
        os.remove(root / "cuhk03_release" / "cuhk-03.mat")
        (root / "cuhk03_release" / "cuhk-03.mat").write_bytes(b"")
        assert len(cuhk03(str(root)).train) == 3

    def test_images_root(self, root, tmp_path):
        split = cuhk03(str(root.parent), boxes="labeled", images_root=str(tmp_path))
        assert split.root == str(tmp_path / "images_labeled")

    def test_classic(self, root):
        split = cuhk03(str(root), protocol="classic", split=1)
        assert {i.identity for i in split.train} == {10002}
        assert split.query == split.gallery and {i.identity for i in split.query} == {
            10001
        }
        assert split.name == "cuhk03_classic_detected"
        assert cuhk03_classic(str(root), split=1) == split
        with pytest.raises(DataError, match="no split 2; expected 0 to 1"):
            cuhk03(str(root), protocol="classic", split=2)

    @pytest.mark.parametrize(
        "changes, message",
        [
            ({"query_idx": None}, "variable query_idx is missing"),
            ({"query_idx": np.array([[7]])}, "7 in query_idx; expected 1 to 6"),
            ({"query_idx": np.array([[0]])}, "0 in query_idx; expected 1 to 6"),
            ({"labels": np.array([[1]])}, "1 labels for 6 names in filelist"),
            ({"labels": np.array([["a"]])}, "labels must hold whole numbers"),
            ({"filelist": np.array([[1]])}, "filelist must hold names"),
        ],
    )
    def test_broken_config(self, root, changes, message):
        write_config(root / "cuhk03_new_protocol_config_detected.mat", **changes)
        with pytest.raises(DataError, match=f"config_detected.mat: .*{message}"):
            cuhk03(str(root))

    def test_names_that_do_not_fit(self, root):
        config = root / "cuhk03_new_protocol_config_detected.mat"
        for name, message in (
            ("9.png", "'9.png'; expected"),
            ("1_003_1_01.png", "is not in"),
        ):
            names = np.empty((6, 1), dtype=object)
            names[:, 0] = [name, *NAMES[1:]]
            write_config(config, filelist=names)
            with pytest.raises(DataError, match=f"name 1 of filelist.*{message}"):
                cuhk03(str(root))

    def test_missing_config(self, root):
        (root / "cuhk03_new_protocol_config_detected.mat").unlink()
        with pytest.raises(DataError, match="config_detected.mat: .*cannot be read"):
            cuhk03(str(root))

    def test_broken_release(self, root):
        release = root / "cuhk03_release" / "cuhk-03.mat"
        release.write_bytes(release.read_bytes()[:2000])
        with pytest.raises(DataError, match="cuhk-03.mat: cut short, damaged or not"):
            cuhk03(str(root))
        assert not [
            name for name in os.listdir(root) if "images" in name or "extract" in name
        ]

    def test_without_h5py(self, root):
        with mock.patch.dict("sys.modules", {"h5py": None}):
            with pytest.raises(DataError, match=r"needs h5py; .*\[matlab\]"):
                cuhk03(str(root))

    def test_np_folders(self, touch_files, facts):
        files = (
            "bounding_box_train/0003_c2_6.png",
            "query/0001_c1_1.png",
            "bounding_box_test/0001_c2_7.png",
        )
        root = touch_files(f"cuhk03-np/labeled/{name}" for name in files)
        split = cuhk03(root, boxes="labeled")
        assert split.name == "cuhk03_labeled" and facts(split.train) == [
            ("0003_c2_6.png", 3, 1)
        ]
        folder = os.path.join(root, "cuhk03-np", "labeled")
        assert cuhk03(folder, boxes="labeled") == split
        with pytest.raises(DataError, match="the folder of the labeled images"):
            cuhk03(folder)
        with pytest.raises(DataError, match="cuhk-03.mat, which is missing"):
            cuhk03(root, protocol="classic")

    def test_unknown_options(self, root):
        with pytest.raises(ValueError, match="got 'drawn' and 'new'"):
            cuhk03(str(root), boxes="drawn")


class TestCUHK02:
    @pytest.fixture
    def root(self, touch_files):
        return touch_files(
            f"Dataset/P{pair}/cam{camera}/{person:03d}_{n}.png"
            for pair in range(1, 6)
            for camera in (1, 2)
            for person in (1, 2)
            for n in (1, 2)
        )

    def test_p5_is_tested(self, root):
        split = cuhk02(root)
        assert len(split.train) == 32 and len(split.query) == len(split.gallery) == 4
        assert sorted({i.camera for i in split.train}) == list(range(8))
        assert {(i.identity, i.camera) for i in split.query} == {(50001, 8), (50002, 8)}
        assert {i.camera for i in split.gallery} == {9}

    def test_bad_input(self, root, touch_files):
        touch_files(["Dataset/P3/cam2/x.png"])
        with pytest.raises(DataError, match="x.png: .* does not begin with the person"):
            cuhk02(root)
        with pytest.raises(DataError, match="folder P2, P3, P4, P5 is missing"):
            cuhk02(touch_files(["P1/cam1/1_1.png"], "other"))


class TestCUHKSYSU:
    def test_crops(self, touch_files):
        root = touch_files(
            ["cropped_images/p11_s90_1.jpg", "cropped_images/p2_n01_s00007_hard0.png"]
        )
        split = cuhk_sysu(root)
        assert [(i.identity, i.camera) for i in split.train] == [(11, 0), (2, 0)]
        assert [i.camera for i in cuhk_sysu(root, cameras="scene").train] == [1, 0]
        assert split.query == split.gallery == ()

    def test_bad_input(self, touch_files, tmp_path):
        with pytest.raises(DataError, match="s1.jpg: .*such as p11422_s16929_1.jpg"):
            cuhk_sysu(touch_files(["s1.jpg"]))
        with pytest.raises(DataError, match="no images; expected"):
            cuhk_sysu(touch_files(["s1.gif"], "gifs"))
        with pytest.raises(DataError, match="is not a folder"):
            cuhk_sysu(str(tmp_path / "nowhere"))
        with pytest.raises(ValueError, match="got 'many'"):
            cuhk_sysu(str(tmp_path), cameras="many")
