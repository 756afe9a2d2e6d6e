# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What changes how a training is computed changes nothing of what it computes."""

import pytest
from torchmultimodal_reid.utils.step_checkpoints import step_checkpoints


@pytest.mark.slow
@pytest.mark.parametrize("change", ["checkpoint_activations=true", "compile=eager"])
def test_ends_with_the_same_weights(change, run, world, pretrained, tmp_path, tools):
    output = tmp_path / "run"
    arguments = tools.debug("pretrain", world, output, f"loop.{change}")
    outcome = run("pretrain", arguments)
    assert outcome.status == 0, outcome.err
    for key in ("train/loss", "train/gradient_norm", "validation/selection"):
        assert tools.metrics(output, key) == tools.metrics(pretrained, key)
    ends = [
        step_checkpoints(path / "checkpoints")[-1][1] / "model.safetensors"
        for path in (output, pretrained)
    ]
    assert ends[0].read_bytes() == ends[1].read_bytes()


def test_unknown_compiler(run, world, tmp_path, tools):
    arguments = tools.debug("pretrain", world, tmp_path / "run", "loop.compile=induct")
    outcome = run("pretrain", arguments)
    assert outcome.status == 2
    expected = "loop.compile must be one of no, inductor, aot_eager, eager, got 'induct'. Did you mean inductor?"
    assert expected in outcome.err
