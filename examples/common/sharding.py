# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Weights, gradients and optimizer shared out over the processes, for models that one device cannot hold (FSDP2)."""

from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Set, Type

import torch
from accelerate import Accelerator
from torch import nn, Tensor

try:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard
    from torch.distributed.tensor import distribute_tensor, DTensor

    IS_AVAILABLE = True
except ImportError:  # before torch 2.6
    IS_AVAILABLE = False


_USUAL = {"forward", "extra_repr", "reset_parameters"}


def check_sharding(accelerator: Accelerator) -> None:
    """Raises a ValueError where ``loop.shard`` cannot be had."""
    if not IS_AVAILABLE:
        raise ValueError(
            f"loop.shard needs torch 2.6 or newer, this is {torch.__version__}; leave it out, each process then holds "
            "the whole model"
        )
    if accelerator.mixed_precision == "fp16":
        raise ValueError(
            "loop.shard works in precision no and bf16, not in fp16: take precision=bf16"
        )


def shard_model(model: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Leaves each process a part of every weight; a layer's are brought together while it is computed, forwards and
    backwards (https://arxiv.org/abs/2304.11277, as torch's ``fully_shard`` does it).

    Layers are the entries of each ``nn.ModuleList``, such as a transformer's; all other weights, such as a CNN's and
    those of caption decoders, stay together from the forward pass to the end of the backward pass. Losses, gradients
    and steps are those of the whole weights, and so are the weights' names; with one process nothing changes.

    Args:
        model (nn.Module): Is changed in place, on the accelerator's device, before it has an optimizer.
        accelerator (Accelerator): Device and processes.

    Raises:
        ValueError: If torch is too old, or the precision is fp16.
    """
    check_sharding(accelerator)
    if accelerator.num_processes == 1:
        return model
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    for weight in model.parameters():
        weight.data = weight.data.contiguous()  # those of a CNN may be channels last
    layers = _layers(model)
    for layer in reversed(layers):  # what is inside another goes first
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    # What comes next in a backward pass is said, not guessed from the forward passes before it: in an evaluation those
    # differ between processes, which would then wait for each other for ever.
    sharded: List[Any] = [*layers]
    for layer, before in zip(sharded, sharded[:1] + sharded):
        layer.set_modules_to_backward_prefetch([before])
    fully_shard(model, mesh=mesh, reshard_after_forward=False)
    return model


def _layers(model: nn.Module) -> List[nn.Module]:
    """The entries of each ``nn.ModuleList``, once, but for those that are entered elsewhere than in ``forward``, where
    nothing would bring their weights together."""
    lists = [part for part in model.modules() if isinstance(part, nn.ModuleList)]
    layers = {id(layer): layer for part in lists for layer in part}.values()
    return [layer for layer in layers if not _entrances(type(layer)) - _USUAL]


def _entrances(kind: Type[nn.Module]) -> Set[str]:
    return {
        name
        for parent in kind.__mro__[: kind.__mro__.index(nn.Module)]
        for name, value in vars(parent).items()
        if callable(value) and not name.startswith("_")
    }


def is_sharded(model: nn.Module) -> bool:
    """Whether :func:`shard_model` has shared its weights out."""
    return IS_AVAILABLE and isinstance(model, FSDPModule)


@contextmanager
def whole_weights(model: nn.Module) -> Iterator[None]:
    """Within it each process has the whole weights, to compute what it likes; all processes have to enter together.

    Processes that each evaluate images of their own do not come to the same layer as often as each other.
    """
    parts: List[Any] = [part for part in model.modules() if is_sharded(part)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            part.set_reshard_after_forward(part is not model, recurse=False)


def whole_tensor(tensor: Tensor) -> Tensor:
    """A tensor that is shared out as a whole one; all processes have to call this."""
    shared: Any = tensor
    return shared.full_tensor() if _is_shared(tensor) else tensor


def gather_tensors(tensors: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """Those that are shared out as whole ones, in the memory of the CPU; all processes have to call this."""
    return {
        name: whole_tensor(tensor).cpu() if _is_shared(tensor) else tensor
        for name, tensor in tensors.items()
    }


def share_like(tensor: Tensor, own: Tensor) -> Tensor:
    """This process's part of a tensor that every process has whole, where ``own`` is shared out; else the tensor."""
    # an optimizer's count of steps is no part of anything
    if not _is_shared(own) or tensor.shape != own.shape:
        return tensor
    shared: Any = own
    return distribute_tensor(
        tensor.to(own.device), shared.device_mesh, shared.placements, src_data_rank=None
    )


def _is_shared(tensor: Tensor) -> bool:
    return IS_AVAILABLE and isinstance(tensor, DTensor)
