# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""How much each part of a batch counts in a loss, so that a step is the same in however many parts and processes."""

from typing import Callable, Dict, List, Mapping, Optional, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor
from torchmultimodal_reid.data.collate import PersonBatch

# batch and step to how many rows a loss is the mean over, for losses whose rows are not the samples but their words
RowCounter = Callable[[PersonBatch, int], Dict[str, Tensor]]


@torch.no_grad()
def loss_shares(
    count_rows: Optional[RowCounter],
    parts: Sequence[PersonBatch],
    step: int,
    accelerator: Accelerator,
) -> List[Mapping[str, Tensor]]:
    """For each part the factors of losses by name, where it is not 1 over the number of parts.

    The mean over the processes of the sums over their parts is then the mean over all rows, however unevenly these are
    spread: without the factors, a word would count for more where captions are short.

    Args:
        count_rows (Optional[RowCounter]): None where every loss is a mean over samples.
        parts (Sequence[PersonBatch]): This process's parts of the batch.
        step (int): How many steps are finished.
        accelerator (Accelerator): The processes; all of them have to call this, and count the same losses.
    """
    is_whole = len(parts) == 1 and accelerator.num_processes == 1
    if count_rows is None or is_whole:
        return [{}] * len(parts)
    counts = [count_rows(part, step) for part in parts]
    names = sorted(counts[0])
    if not names:
        return [{}] * len(parts)
    rows = torch.stack([torch.stack([one[name] for name in names]) for one in counts])
    whole = accelerator.reduce(rows.sum(dim=0), "sum").clamp(min=1)
    shares = rows * accelerator.num_processes / whole
    return [dict(zip(names, share)) for share in shares]
