# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Lookahead (https://arxiv.org/abs/1907.08610) on top of any optimizer of torch."""

from typing import Any, Dict

import torch
from torch import Tensor

SLOW, FINISHED = "slow", "lookahead_steps_finished"


def add_lookahead(
    optimizer: torch.optim.Optimizer, alpha: float = 0.5, every: int = 5
) -> torch.optim.Optimizer:
    """Lets the weights follow slow copies of them: every so often the slow ones move a part of the way, and the
    optimizer goes on from there.

    The slow weights lie in the optimizer's state, the count of finished steps in its groups, so whatever saves and
    restores the optimizer, saves and restores them. The optimizer stays the object that it was.

    Args:
        optimizer (torch.optim.Optimizer): Of any kind; it is changed in place.
        alpha (float): Part of the way that the slow weights move, above 0 and at most 1. Default: 0.5
        every (int): Steps of the optimizer from one move to the next. Default: 5

    Returns:
        torch.optim.Optimizer: The same optimizer.

    Raises:
        ValueError: If ``alpha`` or ``every`` is out of its bounds.
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha must be above 0 and at most 1, got {alpha}")
    if every < 1:
        raise ValueError(f"every must be >= 1, got {every}")
    for group in optimizer.param_groups:
        group.setdefault(FINISHED, 0)
    # optimizers take a parameter without any state for a new one, so the first copies wait until after the step
    started: Dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def before(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for parameter in _parameters_with_gradient(optimizer):
            if SLOW not in optimizer.state[parameter]:
                started[parameter] = parameter.detach().clone()

    @torch.no_grad()
    def after(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for parameter, weights in started.items():
            optimizer.state[parameter][SLOW] = weights
        started.clear()
        for group in optimizer.param_groups:
            group[FINISHED] += 1
            if group[FINISHED] % every:
                continue
            for parameter in group["params"]:
                slow = optimizer.state[parameter].get(SLOW)
                if slow is not None:
                    slow.lerp_(parameter.detach(), alpha)
                    parameter.copy_(slow)

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(after)
    return optimizer


def _parameters_with_gradient(optimizer: torch.optim.Optimizer) -> Any:
    return (
        parameter
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    )
