# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
from examples.common.config import load_config
from examples.common.data import DataConfig, read_split
from examples.vtbr.finetune_definitions import FinetuneConfig
from torchmultimodal_reid.data.errors import DataError


def test_default_is_market1501(build_market):
    config = DataConfig(root=build_market())
    split = read_split(config)
    assert config.title == split.name == "market1501" and len(split.train) == 16


def test_one_line_reads_another_data_set(tmp_path):
    for camera in ("cam_a", "cam_b"):
        folder = tmp_path / camera
        folder.mkdir()
        for person in (1, 2):
            (folder / f"{person:03d}_45.bmp").write_bytes(b"")
    options = {"query_camera": 1}
    split = read_split(DataConfig(str(tmp_path), "viper", options, name="mine"))
    assert split.name == "mine" and split.query[0].camera == 1


def test_results_are_called_after_the_data_set_that_the_command_names():
    arguments = ["data.dataset=viper", "data.root=r", "output=o"]
    assert load_config(FinetuneConfig, arguments)[0].data.title == "viper"


def test_unknown_data_set():
    with pytest.raises(DataError, match="did you mean 'market1501'"):
        DataConfig(dataset="market-1501")


def test_captions_among_the_options():
    with pytest.raises(ValueError, match="expected it as data.captions"):
        DataConfig(options={"captions": "c.json"})
