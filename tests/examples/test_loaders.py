# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import signal

import pytest
import torch
from examples.common.loaders import evaluation_loader, training_loader
from torch.utils.data import Dataset
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import PersonSample
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.samplers import ShuffleSampler


class Rows(Dataset):
    """Rows whose identity is their number; ``bad`` cannot be read."""

    def __init__(self, bad=None):
        self.bad = bad

    def __len__(self):
        return 7

    def __getitem__(self, key):
        row = getattr(key, "index", key)
        if row == self.bad:
            raise DataError(f"{row}.jpg: cut short")
        return PersonSample(None, torch.tensor([2, row, 3]), row, 0, row)


class Signals(Rows):
    """Rows whose identity tells whether their process ignores Ctrl-C and SIGTERM."""

    def __getitem__(self, key):
        ignored = all(
            signal.getsignal(n) == signal.SIG_IGN
            for n in (signal.SIGINT, signal.SIGTERM)
        )
        return super().__getitem__(key)._replace(identity=int(ignored))


def evaluate(dataset, workers=0, **share):
    return evaluation_loader(
        dataset, Collate(0), batch_size=2, workers=workers, **share
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_error_arrives_as_it_was_raised(workers):
    batches = iter(evaluate(Rows(bad=3), workers))
    assert next(batches).identity.tolist() == [0, 1]
    with pytest.raises(DataError) as error:
        next(batches)
    assert str(error.value) == "3.jpg: cut short"


def test_every_row_once_and_in_order():
    loader = evaluate(Rows())
    # twice, as validation does
    for _ in range(2):
        assert [batch.identity.tolist() for batch in loader] == [
            [0, 1],
            [2, 3],
            [4, 5],
            [6],
        ]
    assert len(loader) == 4


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_processes_share_the_batches_of_one(world_size):
    shares = [
        [
            b.identity.tolist()
            for b in evaluate(Rows(), rank=rank, world_size=world_size)
        ]
        for rank in range(world_size)
    ]
    batches = [[0, 1], [2, 3], [4, 5], [6]]
    assert shares == [batches[rank::world_size] for rank in range(world_size)]


def test_training_begins_at_its_step():
    sampler = ShuffleSampler(7, 3, seed=0)
    loader = training_loader(Rows(), sampler, Collate(0), start=2, stop=4, workers=0)
    expected = [[key.index for key in sampler.batch(step)] for step in (2, 3)]
    assert [batch.identity.tolist() for batch in loader] == expected


def test_workers_leave_signals_to_the_main_process():
    assert all(batch.identity.all() for batch in evaluate(Signals(), workers=1))
    assert not any(batch.identity.any() for batch in evaluate(Signals(), workers=0))
