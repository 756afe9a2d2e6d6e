# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Tuple

import torch
from torch import nn, Tensor
from torchmultimodal_reid.utils.errors import CheckpointError

# how a step is computed, not what it computes: a run may go on elsewhere with other settings of these
_IMPLEMENTATION = ("foreach", "fused", "capturable", "differentiable")


class OptimizerState(NamedTuple):
    tensors: Dict[
        str, Tensor
    ]  # "exp_avg/encoder.weight": the optimizer's name for it, then the parameter's
    metadata: Dict[
        str, Any
    ]  # groups with their hyperparameters and parameters' names; state that is no tensor


NamedParameters = Iterable[Tuple[str, nn.Parameter]]


def optimizer_state(
    optimizer: torch.optim.Optimizer, named_parameters: NamedParameters
) -> OptimizerState:
    """An optimizer's state by the names of its parameters, as flat tensors and JSON, so that nothing is pickled.

    Args:
        optimizer (torch.optim.Optimizer): Any optimizer whose state is tensors and numbers (AdamW, SGD).
        named_parameters (NamedParameters): ``model.named_parameters()`` of the unwrapped model.

    Raises:
        CheckpointError: If a parameter has no name or its state is of another kind.
    """
    names: Dict[Tensor, str] = {parameter: name for name, parameter in named_parameters}
    tensors: Dict[str, Tensor] = {}
    values: Dict[str, Dict[str, Any]] = {}
    for parameter, state in optimizer.state.items():
        name = _name(names, parameter)
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{key}/{name}"] = value
            elif value is None or isinstance(value, (bool, int, float, str)):
                values.setdefault(name, {})[key] = value
            else:
                raise CheckpointError(
                    f"the optimizer's {key!r} of {name} is a {type(value).__name__}: not supported"
                )
    groups: List[Dict[str, Any]] = []
    for group in optimizer.param_groups:
        options = {
            key: _plain(value)
            for key, value in group.items()
            if key not in ("params", *_IMPLEMENTATION)
        }
        groups.append(
            {
                "parameters": [
                    _name(names, parameter) for parameter in group["params"]
                ],
                "options": options,
            }
        )
    return OptimizerState(
        tensors, {"optimizer": _kind(optimizer), "groups": groups, "values": values}
    )


def load_optimizer_state(
    optimizer: torch.optim.Optimizer,
    named_parameters: NamedParameters,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
) -> None:
    """Puts back what :func:`optimizer_state` gave, bit for bit, hyperparameters included.

    Args:
        optimizer (torch.optim.Optimizer): An optimizer of the same class with the same groups of parameters.
        named_parameters (NamedParameters): ``model.named_parameters()`` of the unwrapped model.
        tensors (Mapping[str, Tensor]): From the saved :class:`OptimizerState`.
        metadata (Mapping[str, Any]): From the saved :class:`OptimizerState`.

    Raises:
        CheckpointError: If the optimizer or its groups are others than those that were saved.
    """
    if metadata["optimizer"] != _kind(optimizer):
        raise CheckpointError(
            f"the saved state is of {metadata['optimizer']}, but the optimizer is {_kind(optimizer)}"
        )
    names: Dict[Tensor, str] = {parameter: name for name, parameter in named_parameters}
    saved_groups = metadata["groups"]
    own_names = [
        [_name(names, parameter) for parameter in group["params"]]
        for group in optimizer.param_groups
    ]
    _check_groups([group["parameters"] for group in saved_groups], own_names)

    index = {
        name: i for i, name in enumerate(name for group in own_names for name in group)
    }
    state: Dict[int, Dict[str, Any]] = {}
    parameters = {name: parameter for parameter, name in names.items()}
    for key, tensor in tensors.items():
        kind, _, name = key.partition("/")
        state.setdefault(_position(index, name), {})[kind] = _copy_as(
            tensor, parameters[name]
        )
    for name, values in metadata["values"].items():
        state.setdefault(_position(index, name), {}).update(values)
    groups = []
    for own, names_of_group, saved in zip(
        optimizer.param_groups, own_names, saved_groups
    ):
        kept = {key: value for key, value in own.items() if key != "params"}
        options = {
            key: _like(value, own.get(key)) for key, value in saved["options"].items()
        }
        groups.append(
            {**kept, **options, "params": [index[name] for name in names_of_group]}
        )
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _check_groups(saved: List[List[str]], own: List[List[str]]) -> None:
    if saved == own:
        return
    saved_set = {name for group in saved for name in group}
    own_set = {name for group in own for name in group}
    difference = sorted(saved_set ^ own_set)[:8]
    detail = (
        f"they differ in {difference}"
        if difference
        else "the same parameters are grouped otherwise"
    )
    raise CheckpointError(
        f"the saved optimizer has {len(saved_set)} parameters in {len(saved)} groups, this one {len(own_set)} in "
        f"{len(own)}: {detail}. Resume with the configuration that the run was started with."
    )


def _kind(optimizer: torch.optim.Optimizer) -> str:
    # Accelerate wraps the optimizer
    return type(getattr(optimizer, "optimizer", optimizer)).__name__


def _name(names: Mapping[Tensor, str], parameter: Tensor) -> str:
    if parameter not in names:
        raise CheckpointError(
            f"a parameter of shape {tuple(parameter.shape)} in the optimizer is not in the model"
        )
    return names[parameter]


def _position(index: Mapping[str, int], name: str) -> int:
    if name not in index:
        raise CheckpointError(
            f"the saved optimizer has state for {name}, which this optimizer does not train"
        )
    return index[name]


def _copy_as(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A copy, or two optimizers would share the tensor; laid out in memory as its parameter is.

    A channels-last weight is saved in torch's usual order, and sums of two orders may be rounded otherwise.
    """
    if tensor.shape != parameter.shape:
        return tensor.clone()
    laid_out = torch.empty_like(parameter, dtype=tensor.dtype, device=tensor.device)
    return laid_out.copy_(tensor)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value


def _like(value: Any, own: Any) -> Any:
    """JSON turned tuples (betas) into lists and a tensor (a learning rate) into a number."""
    if isinstance(own, tuple):
        return tuple(value)
    if isinstance(own, Tensor):
        return torch.full_like(own, value)
    return value
