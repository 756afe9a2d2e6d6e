# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from contextlib import nullcontext
from functools import wraps
from typing import Any, Callable, ContextManager, List, Tuple

from torch import nn
from torch.utils.checkpoint import checkpoint

Contexts = Callable[[], Tuple[ContextManager[Any], ContextManager[Any]]]


def checkpoint_activations(
    model: nn.Module, again: Callable[[], ContextManager[Any]] = nullcontext
) -> int:
    """Lets the layers of all transformers in a model keep nothing but their inputs for the backward pass.

    What is between is computed again when its gradient is due (https://arxiv.org/abs/1604.06174): about a third more
    time for much less memory. Outputs, gradients and random numbers stay the same, and so do the names of the state
    dict: the layers stay where they are, with another ``forward``. Layers are the entries of each ``nn.ModuleList``;
    those with batch norms are left alone, which would count every batch twice.

    Args:
        model (nn.Module): Is changed in place.
        again (Callable[[], ContextManager[Any]]): Makes the context of a second computation, where it is not that of
            the backward pass, such as the one that chooses how attention is computed. Autocast is brought back
            anyway. Default: nullcontext

    Returns:
        int: How many layers there are.

    Raises:
        ValueError: If there are none.
    """
    layers = [
        layer
        for stack in model.modules()
        if isinstance(stack, nn.ModuleList)
        for layer in stack
        if not _has_batch_norm(layer)
    ]
    if not layers:
        raise ValueError(
            f"{type(model).__name__} has no transformer layers whose activations could be computed again"
        )
    for layer in layers:
        layer.forward = _checkpointed(
            layer, layer.forward, lambda: (nullcontext(), again())
        )
    return len(layers)


def _checkpointed(
    layer: nn.Module, forward: Callable[..., Any], contexts: Contexts
) -> Callable[..., Any]:
    @wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not layer.training:  # then there is no backward pass to keep anything for
            return forward(*args, **kwargs)
        return checkpoint(
            forward, *args, use_reentrant=False, context_fn=contexts, **kwargs
        )

    return run


def _has_batch_norm(layer: nn.Module) -> bool:
    norms: List[nn.Module] = [
        part
        for part in layer.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)
    ]
    return bool(norms)
