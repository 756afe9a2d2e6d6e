# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The recipe of pretraining with the masked stream that drops."""

import pytest
from examples.common.config import load_config
from examples.mmet.definitions import PretrainConfig
from torchmultimodal_reid.models.saved import load_mmet
from torchmultimodal_reid.utils.checkpoint import read_checkpoint


def test_pretrains_the_same_encoders(run, world, pretrained, tmp_path, tools):
    more = "masking.mode=drop masking.decoder_dim=24 loop.steps=4 losses.itm=0"
    arguments = tools.debug("pretrain", world, tmp_path / "run", *more.split())
    outcome = run("pretrain", arguments)
    assert outcome.status == 0, outcome.err
    assert len(tools.metrics(tmp_path / "run", "train/loss")) == 4
    checkpoint = tmp_path / "run" / "best"
    # what fine-tuning starts from has the names and shapes of the other mode's
    load_mmet(checkpoint)
    shapes = []
    for path in (pretrained / "best", checkpoint):
        tensors = read_checkpoint(path, groups=["model"]).tensors["model"]
        shapes.append(
            {name: value.shape for name, value in tensors.items() if "mmet." in name}
        )
    assert shapes[0] and shapes[0] == shapes[1]


@pytest.mark.parametrize(
    "wrong, message",
    [
        ("masking.mode=dropp", "masking.mode must be one of replace, drop.*mean drop"),
        ("masking.decoder_dim=50", "masking.decoder_dim must be a multiple of 12"),
        ("masking.decoder_n_layer=0", "masking.decoder_n_layer must be >= 1"),
        ("negative_share=0", "negative_share must be above 0 and at most 1"),
        ("masked_share=2", "masked_share must be above 0 and at most 1, got 2"),
        ("contrast_whole_text=true", "the contrast is not masked: give contrast_mas"),
    ],
)
def test_wrong_values(wrong, message):
    with pytest.raises(ValueError, match=message):
        load_config(PretrainConfig, [wrong, "data.root=a", "output=b"])


def test_a_masked_contrast_that_comes_of_the_mode():
    changes = ["contrast_whole_text=true", "masking.mode=drop"]
    changes += ["data.root=a", "output=b"]
    config, *_ = load_config(PretrainConfig, changes)
    assert config.contrast_whole_text
    with pytest.raises(ValueError, match="the contrast is not masked"):
        load_config(PretrainConfig, [*changes, "contrast_masked=false"])
