# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import difflib
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple, Type

import torch
from examples.common.checks import check_range
from examples.common.layer_decay import layer_decay_factors
from examples.common.lookahead import add_lookahead
from fvcore.common.param_scheduler import (
    CompositeParamScheduler,
    ConstantParamScheduler,
    CosineParamScheduler,
    LinearParamScheduler,
    MultiStepParamScheduler,
    ParamScheduler,
)
from torch import nn

_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
_TOKEN = re.compile(
    r"position|pos_embed|cls_token|mask_token|logit_scale|relative_position"
)


@dataclass
class OptimizerConfig:
    name: str = "adamw"  # adamw, adam (weight decay is part of the gradient) or sgd
    lr: float = 1e-3  # the highest learning rate, which the schedule multiplies
    weight_decay: float = (
        0.05  # of matrices; norms, biases, embeddings and tokens have none
    )
    betas: Tuple[float, float] = (0.9, 0.98)  # of adamw and adam
    eps: float = 1e-8  # of adamw and adam
    momentum: float = 0.9  # of sgd
    layer_decay: Optional[float] = (
        None  # learning rate of a transformer layer relative to the one above it
    )
    lr_multipliers: Dict[str, float] = field(
        default_factory=dict
    )  # by prefix of the parameters' names; the longest wins
    decay_all: Tuple[str, ...] = (
        ()
    )  # prefixes of the names whose norms, biases and embeddings decay too
    lookahead_every: int = (
        0  # steps between two moves of Lookahead's slow weights; 0 for no Lookahead
    )
    lookahead_alpha: float = 0.5  # part of the way that they move

    def __post_init__(self) -> None:
        check_range("optimizer.lookahead_every", self.lookahead_every, 0)
        check_range("optimizer.lookahead_alpha", self.lookahead_alpha, 0, 1)


@dataclass
class ScheduleConfig:
    name: str = "cosine"  # cosine, multistep or constant
    warmup_steps: int = 0  # steps in which the learning rate rises linearly
    warmup_factor: float = 0.01  # of the learning rate at step 0 of the warm-up
    end_factor: float = 0.01  # of the learning rate at the end of a cosine
    milestones: Tuple[int, ...] = ()  # steps at which multistep multiplies by gamma
    gamma: float = 0.1  # of multistep


Schedule = Callable[[int], float]


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """An optimizer over the trainable parameters of ``model``, in the groups of :func:`parameter_groups`.

    Raises:
        ValueError: If the optimizer is unknown or there is nothing to train.
    """
    groups = parameter_groups(
        model,
        lr=config.lr,
        weight_decay=config.weight_decay,
        layer_decay=config.layer_decay,
        lr_multipliers=config.lr_multipliers,
        decay_all=config.decay_all,
    )
    if config.name in ("adamw", "adam"):
        kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
        optimizer = fused_optimizer(
            kind, groups, lr=config.lr, betas=config.betas, eps=config.eps
        )
    elif config.name == "sgd":
        optimizer = fused_optimizer(
            torch.optim.SGD, groups, lr=config.lr, momentum=config.momentum
        )
    else:
        raise ValueError(
            f"unknown optimizer {config.name!r}, expected 'adamw', 'adam' or 'sgd'"
        )
    if config.lookahead_every:
        add_lookahead(optimizer, config.lookahead_alpha, config.lookahead_every)
    return optimizer


def fused_optimizer(
    kind: Type[torch.optim.Optimizer], groups: List[Dict[str, Any]], **settings: Any
) -> torch.optim.Optimizer:
    """Each step in one pass over the weights, which reads and writes each number once, where torch can."""
    make: Callable[..., torch.optim.Optimizer] = kind
    weights = [weight for group in groups for weight in group["params"]]
    smallest = {
        (type(weight.data), weight.device, weight.dtype): weight
        for weight in sorted(weights, key=torch.numel, reverse=True)
    }
    tried = [nn.Parameter(torch.zeros_like(weight)) for weight in smallest.values()]
    for weight in tried:
        weight.grad = torch.zeros_like(weight)
    try:
        # torch 2.3 has no such kernel for a CPU, that of SGD none for weights that are shared out over processes, and
        # they say so only when they are to be run
        make(tried, fused=True, **settings).step()
    except RuntimeError:
        return make(groups, **settings)
    return make(groups, fused=True, **settings)


def parameter_groups(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    layer_decay: Optional[float] = None,
    lr_multipliers: Optional[Dict[str, float]] = None,
    decay_all: Sequence[str] = (),
) -> List[Dict[str, Any]]:
    """Groups the trainable parameters by learning rate and weight decay.

    Norms, biases, embeddings, and position, class and mask tokens do not decay. With ``layer_decay`` a transformer's
    lower layers learn more slowly: see :func:`layer_decay_factors`.

    Args:
        model (nn.Module): The model.
        lr (float): The learning rate of what has no multiplier.
        weight_decay (float): The weight decay of what decays.
        layer_decay (Optional[float]): Factor from a layer to the one below it. Default: ``None``
        lr_multipliers (Optional[Dict[str, float]]): Factors by prefix of the name; the longest that fits counts.
            Default: ``None``
        decay_all (Sequence[str]): Prefixes of the names of which everything decays. Default: none

    Returns:
        List[Dict[str, Any]]: Groups with ``params``, ``lr``, ``base_lr`` and ``weight_decay``, in a stable order.

    Raises:
        ValueError: If a prefix fits no parameter, or nothing is trainable.
    """
    multipliers = lr_multipliers or {}
    trainable = {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    if not trainable:
        raise ValueError(f"{type(model).__name__} has no trainable parameter")
    for key, prefix in [
        *(("lr_multipliers", prefix) for prefix in multipliers),
        *(("decay_all", prefix) for prefix in decay_all),
    ]:
        if not any(name.startswith(prefix) for name in trainable):
            heads = sorted(
                {name[: len(prefix)] for name in trainable}
                | {name.split(".")[0] for name in trainable}
            )
            close = difflib.get_close_matches(prefix, heads, n=1, cutoff=0.0)
            raise ValueError(
                f"{key}: no trainable parameter begins with {prefix!r}; the nearest is {close[0]!r}"
            )
    undecayed = _undecayed(model)
    factors = layer_decay_factors(
        trainable, 1.0 if layer_decay is None else layer_decay
    )
    groups: Dict[Tuple[float, float], Dict[str, Any]] = {}
    for name, parameter in trainable.items():
        factor = factors[name]
        fitting = [prefix for prefix in multipliers if name.startswith(prefix)]
        factor *= multipliers[max(fitting, key=len)] if fitting else 1.0
        spared = parameter in undecayed and not name.startswith(tuple(decay_all))
        decay = 0.0 if spared else weight_decay
        group = groups.setdefault(
            (factor, decay), {"params": [], "weight_decay": decay}
        )
        group.update(lr=lr * factor, base_lr=lr * factor)
        group["params"].append(parameter)
    return list(groups.values())


def build_schedule(config: ScheduleConfig, num_steps: int) -> Schedule:
    """The factor of the learning rate as a function of the step alone, so that a resumed run needs no state of it.

    Args:
        config (ScheduleConfig): Which schedule.
        num_steps (int): The number of steps of the run.

    Returns:
        Schedule: From the number of finished steps, 0 to ``num_steps``, to the factor for the next one.

    Raises:
        ValueError: If the schedule is unknown, or its warm-up or milestones do not lie within the run.
    """
    if not 0 <= config.warmup_steps < num_steps:
        raise ValueError(
            f"warmup_steps must lie in 0 to {num_steps - 1}, within the run, got {config.warmup_steps}"
        )
    scheduler = _main_schedule(config, num_steps)
    if config.warmup_steps:
        share = config.warmup_steps / num_steps
        # the milestones of a multistep are steps of the whole run, a cosine begins where the warm-up ends
        scaling = "fixed" if config.name == "multistep" else "rescaled"
        warmup = LinearParamScheduler(config.warmup_factor, 1.0)
        scheduler = CompositeParamScheduler(
            [warmup, scheduler], [share, 1 - share], ["rescaled", scaling]
        )

    def schedule(step: int) -> float:
        if not 0 <= step <= num_steps:
            raise ValueError(f"step must lie in 0 to {num_steps}, got {step}")
        # fvcore's schedulers are defined short of the end
        return float(scheduler(min(step / num_steps, 1 - 1e-9)))

    return schedule


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Sets each group's learning rate to its own base times ``factor`` and gives back the highest."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
    return max(group["lr"] for group in optimizer.param_groups)


def _main_schedule(config: ScheduleConfig, num_steps: int) -> ParamScheduler:
    if config.name == "cosine":
        return CosineParamScheduler(1.0, config.end_factor)
    if config.name == "constant":
        return ConstantParamScheduler(1.0)
    if config.name == "multistep":
        milestones = list(config.milestones)
        if (
            not milestones
            or milestones != sorted(set(milestones))
            or not 0 < milestones[0] <= milestones[-1] < num_steps
        ):
            raise ValueError(
                f"milestones must rise and lie in 1 to {num_steps - 1}, got {milestones}"
            )
        values = [config.gamma**i for i in range(len(milestones) + 1)]
        return MultiStepParamScheduler(
            values, num_updates=num_steps, milestones=milestones
        )
    raise ValueError(
        f"unknown schedule {config.name!r}, expected 'cosine', 'multistep' or 'constant'"
    )


def _undecayed(model: nn.Module) -> Set[nn.Parameter]:
    found: Set[nn.Parameter] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if (
                parameter.ndim < 2
                or isinstance(module, (nn.Embedding, *_NORMS))
                or _TOKEN.search(name)
            ):
                found.add(parameter)
    return found
