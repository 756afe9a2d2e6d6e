# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What several processes do together: as if one process had seen the whole batch."""

import time
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence

import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.utils import DistributedDataParallelKwargs, DistributedType
from examples.common.checks import check_choice
from torch import nn, Tensor
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.modules.losses.identity_contrastive import GatheredPairs
from torchmultimodal_reid.modules.masking.row_draws import RowDraws
from torchmultimodal_reid.utils.seeding import derive_seed, Key

# backends of torch.compile; the last two are for looking for errors
COMPILERS = ("no", "inductor", "aot_eager", "eager")
RELEASE_SECONDS = 0.1


def make_accelerator(precision: str = "no", compiler: str = "no") -> Accelerator:
    """Accelerate's handle on the device, the precision and the other processes.

    Args:
        precision (str): "no" for float32, "bf16" or "fp16".
        compiler (str): One of :data:`COMPILERS`: what ``prepare`` compiles models with. Default: "no"
    """
    check_choice("precision", precision, ("no", "bf16", "fp16"))
    # a batch of images alone leaves the text encoder unused, fine-tuning leaves the contrastive projections unused
    kwargs = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(
        mixed_precision=precision, kwargs_handlers=[kwargs], dynamo_backend=compiler
    )
    check_engine(accelerator)
    if accelerator.device.type == "cpu":
        # otherwise threads add the gradients of repeated rows in the order in which they come to it
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return accelerator


def check_engine(accelerator: Accelerator) -> None:
    """Raises a ValueError if accelerate would wrap the model in a way that the recipes' checkpoints do not know."""
    kind = accelerator.distributed_type
    if kind in (
        DistributedType.FSDP,
        DistributedType.DEEPSPEED,
        DistributedType.MEGATRON_LM,
    ):
        raise ValueError(
            f"accelerate was told to use {kind.value}, which the recipes do not; launch them without it, and with "
            "loop.shard=true to share weights and optimizer out over the processes"
        )


class _Gather(torch.autograd.Function):
    # torch has had several differentiable gathers, each of them deprecated by the next
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.rows = len(tensor)
        parts = [torch.empty_like(tensor) for _ in range(PartialState().num_processes)]
        torch.distributed.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # each process's loss depends on every process's rows
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(gradient)
        first = ctx.rows * PartialState().process_index
        return gradient[first : first + ctx.rows]


def gather(tensor: Tensor) -> Tensor:
    """The rows of all processes in their order, with gradients; each has to have as many."""
    return tensor if PartialState().num_processes == 1 else _Gather.apply(tensor)


class GatheredRows(NamedTuple):
    """The rows of all processes, with gradients; this one's begin at ``offset``."""

    embedding: Tensor  # (B, d)
    identity: Tensor  # (B,)
    offset: int


def gather_rows(
    embeddings: Mapping[str, Tensor], identity: Tensor
) -> Dict[str, GatheredRows]:
    """The embeddings of all processes by name, so that losses see the whole batch; each is sent once.

    Args:
        embeddings (Mapping[str, Tensor]): Of shape ``(b, d)`` each; every process gives the same names.
        identity (Tensor): Identities of shape ``(b,)``.
    """
    if not embeddings:
        return {}
    everyone = gather(identity)
    offset = len(identity) * PartialState().process_index
    return {
        name: GatheredRows(gather(embedding), everyone, offset)
        for name, embedding in embeddings.items()
    }


def as_pairs(one: GatheredRows, other: GatheredRows) -> GatheredPairs:
    """What a contrast between two kinds of rows of the same batch takes."""
    return GatheredPairs(
        one.embedding, other.embedding, one.identity, other.identity, one.offset
    )


def draws_of(batch: PersonBatch, *keys: Key) -> RowDraws:
    """What the masks of a batch are drawn from: each sample's are its own, whichever process has it.

    Args:
        batch (PersonBatch): Its indices and draws tell its samples apart.
        keys (Key): What else the draws depend on: the run's seed, what is drawn, the step.
    """
    draw = torch.zeros_like(batch.index) if batch.draw is None else batch.draw
    return RowDraws(derive_seed(*keys), batch.index, draw)


class GatheredBatchNorm(nn.Module):
    """A batch norm whose statistics are those of all processes' rows, on any device, for inputs of any shape.

    Each process must have as many rows. torch's ``SyncBatchNorm`` does not run on CPUs.

    Args:
        norm (nn.BatchNorm1d | nn.BatchNorm2d): Whose weights, statistics and names it takes over.
    """

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm) -> None:
        super().__init__()
        # the same tensors under the same names: checkpoints know no difference
        self._parameters = norm._parameters
        self._buffers = norm._buffers
        self._norm = (norm,)  # in a tuple it is no submodule, whose names would count

    def forward(self, input: Tensor) -> Tensor:
        (norm,) = self._norm
        norm.train(self.training)
        if not self.training:
            return norm(input)
        first = len(input) * PartialState().process_index
        return norm(gather(input))[first : first + len(input)]


def gather_batch_norms(model: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Where there are several processes, makes each batch norm one over the rows of all; weights and names stay.

    Those of feature maps are torch's ``SyncBatchNorm`` where it runs: it sends sums, not feature maps.
    """
    if accelerator.num_processes == 1:
        return model
    on_cpu = accelerator.device.type == "cpu"
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm1d or (
                type(child) is nn.BatchNorm2d and on_cpu
            ):
                setattr(module, name, GatheredBatchNorm(child))
            elif type(child) is nn.BatchNorm2d:
                synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(child)
                setattr(module, name, synchronised)
    return model


def mean_over_processes(
    values: Mapping[str, Tensor], accelerator: Accelerator
) -> Dict[str, Tensor]:
    """Each scalar's mean over the processes; all of them have to call this with the same names."""
    if accelerator.num_processes == 1:
        return dict(values)
    names = sorted(values)
    stacked = torch.stack([values[name].float() for name in names])
    return dict(zip(names, accelerator.reduce(stacked, "mean")))


def highest_over_processes(
    values: Sequence[int], accelerator: Accelerator
) -> List[int]:
    """The highest of each number that any process gives, in one exchange; all of them have to call this."""
    if accelerator.num_processes == 1:
        return list(values)
    own = torch.tensor([list(values)], device=accelerator.device)
    return accelerator.gather(own).amax(dim=0).tolist()


def leave_process_group() -> None:
    """Ends the conversation of several processes, at the end of a program."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        # Threads of gloo may still let go of the last exchange's tensors and need Python's lock for that. Older torch
        # holds it while it waits for these threads to end, so both would wait for ever.
        time.sleep(RELEASE_SECONDS)
        torch.distributed.destroy_process_group()
