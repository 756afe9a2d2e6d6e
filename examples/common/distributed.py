# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What several processes do together."""

from typing import NamedTuple

from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor
from torchmultimodal.utils.distributed import concat_gather_all_gpu
from torchmultimodal_reid.modules.losses.identity_contrastive import GatheredPairs


def make_accelerator(
    precision: str = "no", *, partial_inputs: bool = False
) -> Accelerator:
    """Accelerate's handle on the device, the precision and the other processes.

    Args:
        precision (str): "no" for float32, "bf16" or "fp16".
        partial_inputs (bool): Whether some steps leave parts of the model unused, as images alone do. Default: False.
    """
    if precision not in ("no", "bf16", "fp16"):
        raise ValueError(f"precision must be no, bf16 or fp16, got {precision!r}")
    kwargs = DistributedDataParallelKwargs(find_unused_parameters=partial_inputs)
    return Accelerator(mixed_precision=precision, kwargs_handlers=[kwargs])


def gather_pairs(
    image_embedding: Tensor, text_embedding: Tensor, identity: Tensor
) -> GatheredPairs:
    """The pairs of all processes, with gradients, and where this process's own begin."""
    own = image_embedding.shape[0]
    gathered_identity = concat_gather_all_gpu(identity)
    return GatheredPairs(
        concat_gather_all_gpu(image_embedding),
        concat_gather_all_gpu(text_embedding),
        gathered_identity,
        gathered_identity,
        offset=own * PartialState().process_index,
    )


class GatheredRows(NamedTuple):
    """The rows of all processes; this one's begin at ``offset``."""

    embedding: Tensor
    identity: Tensor
    offset: int


def gather_rows(embedding: Tensor, identity: Tensor) -> GatheredRows:
    """The embeddings of all processes, with gradients, so that mining sees the whole batch."""
    offset = embedding.shape[0] * PartialState().process_index
    return GatheredRows(
        concat_gather_all_gpu(embedding), concat_gather_all_gpu(identity), offset
    )
