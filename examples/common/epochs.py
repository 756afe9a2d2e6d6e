# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Schedules in epochs, for runs over shares of one data set: the steps that they are depend on its size."""

import math
from dataclasses import dataclass, replace
from typing import Tuple

from examples.common.engine import LoopConfig
from examples.common.optim import ScheduleConfig


@dataclass
class EpochConfig:
    """In epochs, one being as many images as there are to train on. What is given replaces its key in steps."""

    run: float = 0.0  # the whole run, for loop.steps; 0 to count steps
    warmup: float = 0.0  # for schedule.warmup_steps
    milestones: Tuple[float, ...] = ()  # for schedule.milestones
    evaluate_every: float = 0.0  # for loop.evaluate_every

    def __post_init__(self) -> None:
        values = (self.run, self.warmup, self.evaluate_every, *self.milestones)
        if not all(0 <= value < math.inf for value in values):
            raise ValueError(f"epochs must be numbers >= 0, got {self}")
        if self.run == 0 and any(values):
            raise ValueError(
                f"epochs.run is 0, so that steps are counted, but other epochs are given: {self}"
            )


def in_steps(
    epochs: EpochConfig,
    loop: LoopConfig,
    schedule: ScheduleConfig,
    num_images: int,
    batch_size: int,
) -> Tuple[LoopConfig, ScheduleConfig]:
    """The loop and the schedule of a run that is counted in epochs; as they are for one that is not.

    Args:
        epochs (EpochConfig): The lengths; those that are 0 leave their key as it is.
        loop (LoopConfig): The rest of the loop.
        schedule (ScheduleConfig): The rest of the schedule.
        num_images (int): Images to train on.
        batch_size (int): Images a step, over all processes.
    """
    if epochs.run == 0:
        return loop, schedule

    def steps(length: float) -> int:
        return max(1, round(length * num_images / batch_size))

    loop = replace(loop, steps=steps(epochs.run))
    if epochs.evaluate_every:
        # rounded up, so that the last evaluation is at the end and not just before it
        every = math.ceil(epochs.evaluate_every * num_images / batch_size)
        loop = replace(loop, evaluate_every=every)
    if epochs.warmup:
        schedule = replace(schedule, warmup_steps=steps(epochs.warmup))
    if epochs.milestones:
        milestones = tuple(steps(milestone) for milestone in epochs.milestones)
        schedule = replace(schedule, milestones=milestones)
    return loop, schedule
