# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Callable, Iterable, List, NamedTuple, Optional, Sized, Union

import torch
from torch import distributed, nn, Tensor
from torchmultimodal_reid.data.collate import PersonBatch
from tqdm import tqdm


class Features(NamedTuple):
    """One row for each row of the data set, in its order, on the CPU."""

    embedding: Tensor  # shape: (n, d)
    identity: Tensor  # shape: (n,), long
    camera: Tensor  # shape: (n,), long
    index: Tensor  # type: ignore[assignment]  # shape: (n,), long, ascending


def extract(
    embed: Callable[[PersonBatch], Tensor],
    loader: Iterable[PersonBatch],
    *,
    device: Optional[Union[str, torch.device]] = None,
    num_rows: Optional[int] = None,
    description: str = "extract",
    progress: bool = True,
) -> Features:
    """Embeds every row that the loader gives, once, and puts the rows in the order of their ``index``.

    Where ``torch.distributed`` is initialised, each process passes the loader of its own share and all get all rows;
    rows that a distributed sampler repeated to fill up a share are dropped. So the metrics are the same as with one
    process.

    Args:
        embed (Callable[[PersonBatch], Tensor]): Gives embeddings of shape ``(b, d)``. A model must be in eval mode.
        loader (Iterable[PersonBatch]): Batches without augmentation or masking, with no row dropped.
        device (Optional[Union[str, torch.device]]): Where batches go before ``embed``. Default: ``None``, as they are
        num_rows (Optional[int]): Rows that must have come in the end. Default: ``None``, the length of the loader's
            data set if it has one
        description (str): Label of the progress bar. Default: ``"extract"``
        progress (bool): Whether to show a progress bar, on the first process. Default: True

    Returns:
        Features: All rows, float32 or what ``embed`` gives, on the CPU.

    Raises:
        ValueError: If the model is in training mode, an output has a wrong shape, or rows are missing.
    """
    owner = getattr(embed, "__self__", embed)
    if isinstance(owner, nn.Module) and owner.training:
        raise ValueError(
            f"{type(owner).__name__} is in training mode: call eval() before extracting features"
        )
    is_first = not _is_distributed() or distributed.get_rank() == 0
    parts: List[Features] = []
    with torch.no_grad():
        for batch in tqdm(
            loader, desc=description, disable=not (progress and is_first), leave=False
        ):
            batch = batch if device is None else batch.to(device)
            embedding = embed(batch)
            rows = len(batch.index)
            if embedding.dim() != 2 or len(embedding) != rows:
                raise ValueError(
                    f"embed must give a tensor of shape ({rows}, dim) for a batch of {rows}, "
                    f"got {tuple(embedding.shape)}"
                )
            parts.append(
                Features(
                    embedding.cpu(),
                    batch.identity.cpu(),
                    batch.camera.cpu(),
                    batch.index.cpu(),
                )
            )
    features = _concatenate(parts)
    if _is_distributed() and distributed.get_world_size() > 1:
        features = _gather(features)
    features = _in_order(features)
    if num_rows is None:
        data = getattr(loader, "dataset", None)
        num_rows = len(data if isinstance(data, Sized) else features.index)
    if len(features.index) != num_rows:
        raise ValueError(
            f"the loader gave {len(features.index)} of {num_rows} rows: a loader for evaluation must not drop any "
            "(drop_last=False) and must cover the whole data set"
        )
    return features


def _is_distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _concatenate(parts: List[Features]) -> Features:
    if not parts:
        empty = torch.zeros(0, dtype=torch.long)
        return Features(torch.zeros(0, 0), empty, empty, empty)
    return Features(*(torch.cat(column) for column in zip(*parts)))


def _gather(features: Features) -> Features:
    """All processes' rows. A process without rows takes part with none."""
    shares: List[Optional[Features]] = [None] * distributed.get_world_size()
    distributed.all_gather_object(shares, features)
    return _concatenate([share for share in shares if share and len(share.index)])


def _in_order(features: Features) -> Features:
    index = features.index
    order = torch.argsort(index, stable=True)
    ordered = index[order]
    is_repeated = torch.zeros_like(ordered, dtype=torch.bool)
    is_repeated[1:] = ordered[1:] == ordered[:-1]
    order = order[~is_repeated]
    return Features(*(column[order] for column in features))
