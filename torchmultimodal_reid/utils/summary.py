# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math
import warnings
from collections import Counter
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple, Union

import torch
from tabulate import tabulate
from torch import nn, Tensor

with warnings.catch_warnings():
    # fvcore scripts its losses when it is imported, which newer releases of torch call deprecated
    warnings.filterwarnings("ignore", message=".*torch.jit", category=Warning)
    from fvcore.nn import FlopCountAnalysis, parameter_count
    from fvcore.nn.jit_handles import get_shape

Inputs = Union[Tensor, Sequence[Any], Mapping[str, Any]]


def model_summary(model: nn.Module, inputs: Inputs, *, max_depth: int = 2) -> str:
    """A table of a model's parameters and FLOPs by submodule.

    Counted by fvcore for one forward in evaluation mode, a multiply-add being one FLOP, and attention through
    ``scaled_dot_product_attention`` with the rest (fvcore alone leaves it out).

    Args:
        model (nn.Module): The model. Its mode and weights stay as they are.
        inputs (Inputs): A tensor, a sequence of positional arguments or a mapping of keyword arguments.
        max_depth (int): How deep to list submodules. Default: ``2``

    Returns:
        str: The table, with a last line that names the operations that were not counted.
    """
    call = _Call(model, inputs)
    by_module, uncounted = _count(call)
    parameters = parameter_count(call)
    rows = []
    for name in _submodules(model, max_depth):
        key = f"model.{name}" if name else "model"
        if parameters[key] or by_module[key]:
            rows.append(
                (
                    name or type(model).__name__,
                    _engineering(parameters[key]),
                    _engineering(by_module[key]),
                )
            )
    table = tabulate(
        rows,
        headers=("module", "parameters", "FLOPs"),
        colalign=("left", "right", "right"),
    )
    names = sorted(op.partition("::")[2] for op in uncounted)
    return table + (f"\nNot counted: {', '.join(names)}" if names else "")


def count_flops(model: nn.Module, inputs: Inputs) -> int:
    """The FLOPs of one forward, counted as in :func:`model_summary`.

    Args:
        model (nn.Module): The model. Its mode and weights stay as they are.
        inputs (Inputs): A tensor, a sequence of positional arguments or a mapping of keyword arguments.
    """
    by_module, _ = _count(_Call(model, inputs))
    return int(by_module[""])


def _count(call: "_Call") -> Tuple[Counter, Counter]:
    """FLOPs by submodule, and how often each operation occurs that was not counted."""
    training = {module: module.training for module in call.model.modules()}
    fast_path = torch.backends.mha.get_fastpath_enabled()
    try:
        call.eval()
        # fvcore knows no handle for the fused layers
        torch.backends.mha.set_fastpath_enabled(False)
        flops = FlopCountAnalysis(call, call.tensors)
        flops.set_op_handle("aten::scaled_dot_product_attention", _attention_flops)
        flops.unsupported_ops_warnings(False).uncalled_modules_warnings(
            False
        ).tracer_warnings("none")
        return flops.by_module(), flops.unsupported_ops()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for module, mode in training.items():
            module.training = mode


class _Call(nn.Module):
    """The model as a function from tensors to tensors, which is all that tracing can follow."""

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        self.model = model
        self.arguments: List[Any] = []
        self.keywords: Dict[str, Any] = {}
        if isinstance(inputs, Tensor):
            self.arguments = [inputs]
        elif isinstance(inputs, Mapping):
            self.keywords = dict(inputs)
        else:
            self.arguments = list(inputs)
        values = [*self.arguments, *self.keywords.values()]
        self.tensors = tuple(value for value in values if isinstance(value, Tensor))

    def forward(self, *tensors: Tensor) -> Tuple[Tensor, ...]:
        rest = iter(tensors)
        arguments = [
            next(rest) if isinstance(value, Tensor) else value
            for value in self.arguments
        ]
        keywords = {
            key: next(rest) if isinstance(value, Tensor) else value
            for key, value in self.keywords.items()
        }
        return tuple(_flatten(self.model(*arguments, **keywords)))


def _flatten(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _flatten(value)
    elif isinstance(output, (list, tuple)):
        for value in output:
            yield from _flatten(value)


def _submodules(model: nn.Module, max_depth: int) -> List[str]:
    names = [name for name, _ in model.named_modules()]
    return [name for name in names if not name or name.count(".") < max_depth]


def _attention_flops(inputs: List[Any], outputs: List[Any]) -> Counter:
    """Query times keys, then weights times values, at one FLOP a multiply-add."""
    query, key, value = (get_shape(inputs[i]) for i in range(3))
    *batch, query_length, dim = query
    return Counter(
        {"attention": math.prod(batch) * query_length * key[-2] * (dim + value[-1])}
    )


def _engineering(number: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"
