# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from examples.common.engine import LoopConfig
from examples.common.epochs import EpochConfig, in_steps
from examples.common.optim import ScheduleConfig


def test_the_last_evaluation_is_not_just_before_the_end():
    epochs = EpochConfig(run=6, evaluate_every=2)
    # 6 epochs are 607.5 steps, two are 202.5
    loop, _ = in_steps(epochs, LoopConfig(), ScheduleConfig(), 6480, 64)
    assert loop.steps == 608 and loop.evaluate_every == 203
