# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from pathlib import Path
from typing import Any, Iterator, List, Sequence

import pytest
import torch
from torch import distributed, multiprocessing, nn, Tensor
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.evaluation.extract import extract, Features


class Loader:
    """Batches of images whose single pixel is their index."""

    def __init__(self, batches: Sequence[Sequence[int]], num_rows: int) -> None:
        self.batches = batches
        self.dataset = range(num_rows)

    def __iter__(self) -> Iterator[PersonBatch]:
        for batch in self.batches:
            index = torch.tensor(batch)
            image = index.to(torch.uint8)[:, None, None, None]
            yield PersonBatch(image, None, None, index + 100, index % 3, index)


def embed(batch: PersonBatch) -> Tensor:
    assert batch.image is not None
    value = batch.image.float().flatten(1)
    return torch.cat([value, value**2], dim=1)


def expected(num_rows: int) -> Features:
    index = torch.arange(num_rows)
    embedding = torch.stack([index.float(), index.float() ** 2], dim=1)
    return Features(embedding, index + 100, index % 3, index)


def assert_same(actual: Features, wanted: Features) -> None:
    for given, other in zip(actual, wanted):
        assert torch.equal(given, other)


def test_every_row_once_in_order() -> None:
    loader = Loader([[4, 0, 2], [1, 3]], 5)
    assert_same(extract(embed, loader, progress=False), expected(5))


def test_repeated_rows_are_dropped() -> None:
    loader = Loader([[0, 1], [2, 0]], 3)
    assert_same(extract(embed, loader, progress=False), expected(3))


def test_missing_rows_are_an_error() -> None:
    loader = Loader([[0, 1, 2]], 5)
    with pytest.raises(ValueError, match="gave 3 of 5 rows.*drop_last"):
        extract(embed, loader, progress=False)
    with pytest.raises(ValueError, match="gave 3 of 4 rows"):
        extract(embed, list(loader), num_rows=4, progress=False)


def test_training_mode_is_an_error() -> None:
    class Model(nn.Module):
        def embed(self, batch: PersonBatch) -> Tensor:
            return embed(batch)

    loader = Loader([[0]], 1)
    with pytest.raises(ValueError, match="Model is in training mode"):
        extract(Model().embed, loader, progress=False)
    assert_same(extract(Model().eval().embed, loader, progress=False), expected(1))


def test_wrong_output_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, dim\) .* got \(2,\)"):
        extract(lambda batch: embed(batch)[:, 0], Loader([[0, 1]], 2), progress=False)


def test_no_gradient_is_kept() -> None:
    weight = torch.ones(1, requires_grad=True)
    features = extract(
        lambda batch: embed(batch) * weight, Loader([[0]], 1), progress=False
    )
    assert not features.embedding.requires_grad


def _process(
    rank: int,
    world_size: int,
    store: str,
    shares: List[List[List[int]]],
    num_rows: int,
    results: Any,
) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=world_size
    )
    loader = Loader(shares[rank], num_rows)
    features = extract(embed, loader, progress=False)
    # as lists: tensors would travel through shared memory that ends with this process
    results.put([column.tolist() for column in features])
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.mark.parametrize(
    "shares",
    [
        # seven rows for two and three processes, filled up with repeated rows as a DistributedSampler does
        [[[0, 2], [4, 6]], [[1, 3], [5, 0]]],
        [[[0, 3, 6]], [[1, 4, 0]], [[2, 5, 1]]],
        # a process without any row
        [[[6, 5, 4], [3, 2, 1, 0]], []],
    ],
)
def test_processes_all_get_all_rows(
    shares: List[List[List[int]]], tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    processes = [
        context.Process(
            target=_process,
            args=(rank, len(shares), str(tmp_path / "store"), shares, 7, results),
        )
        for rank in range(len(shares))
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        process.kill()
        assert process.exitcode == 0
    for columns in [results.get() for _ in processes]:
        assert_same(
            Features(*(torch.tensor(column) for column in columns)), expected(7)
        )
