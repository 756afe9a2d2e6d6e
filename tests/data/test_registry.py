# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import inspect
from pathlib import Path

import pytest
from torchmultimodal_reid.data.datasets_page import datasets_page
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.registry import DATASETS, read_dataset

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"


def test_page_is_current():
    assert (
        PAGE.read_text(encoding="utf-8") == datasets_page()
    ), "write it again: python -m torchmultimodal_reid.data.datasets_page > docs/datasets.md"


def test_read_dataset(build_market):
    assert len(read_dataset("market1501", build_market()).train) == 16


@pytest.mark.parametrize(
    "name, nearest",
    [("market", "market1501"), ("MSMT-17", "msmt17"), ("CUHK-03", "cuhk03")],
)
def test_unknown_name(name, nearest):
    with pytest.raises(DataError, match=f"'{name}'; did you mean '{nearest}'"):
        read_dataset(name, "somewhere")


def test_unknown_option():
    with pytest.raises(DataError, match="viper has no option splits; it has split, "):
        read_dataset("viper", "somewhere", splits=3)


@pytest.mark.parametrize("name", DATASETS)
class TestEveryReader:
    def test_signature(self, name):
        parameters = inspect.signature(DATASETS[name].reader).parameters
        assert list(parameters)[0] == "root"
        # the others come with their captions
        if name != "custom" and DATASETS[name].kind != "text":
            assert {"captions", "missing_captions"} <= set(parameters)

    def test_missing_root(self, name, tmp_path):
        with pytest.raises(DataError, match="nowhere"):
            read_dataset(name, str(tmp_path / "nowhere"))

    def test_root_of_something_else(self, name, touch_files):
        with pytest.raises(DataError, match="expected|missing|no "):
            read_dataset(name, touch_files(["notes/readme.txt"]))
