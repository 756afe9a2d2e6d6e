# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from types import SimpleNamespace

import pytest
import torch
from examples.common.loss_shares import loss_shares
from torchmultimodal_reid.data.collate import PersonBatch


def part(*words):
    """A part of a batch, whose captions have so many words."""
    index = torch.tensor(words)
    return PersonBatch(None, None, None, index, index, index)


def count_rows(batch, step):
    return {"words": batch.index.sum(), "captions": (batch.index > 0).sum()}


def processes(*others):
    """An accelerator beside which others have counted so many captions and words."""
    reduce = lambda own, how: own + torch.tensor(others).sum(dim=0)
    return SimpleNamespace(num_processes=1 + len(others), reduce=reduce)


ONE = SimpleNamespace(num_processes=1, reduce=lambda own, how: own)


class TestShares:
    def test_of_parts(self):
        one, other = loss_shares(count_rows, [part(1, 0), part(2, 5)], 0, ONE)
        assert {name: float(value) for name, value in one.items()} == {
            "words": pytest.approx(1 / 8),
            "captions": pytest.approx(1 / 3),
        }
        assert float(other["words"]) == pytest.approx(7 / 8)
        assert float(other["captions"]) == pytest.approx(2 / 3)

    def test_of_processes(self):
        # 3 of 4 captions and 6 of 8 words are here: of the processes' mean that is one and a half times the half
        (share,) = loss_shares(count_rows, [part(1, 2, 3)], 0, processes((1, 2)))
        assert float(share["words"]) == 2 * 6 / 8
        assert float(share["captions"]) == 2 * 3 / 4

    def test_nothing_to_count(self):
        (share,) = loss_shares(count_rows, [part(0, 0)], 0, processes((0, 0)))
        assert float(share["words"]) == float(share["captions"]) == 0

    @pytest.mark.parametrize("count", [None, lambda batch, step: {}])
    def test_means_over_samples_need_none(self, count):
        assert loss_shares(count, [part(1), part(2)], 0, processes((1, 1))) == [{}, {}]

    def test_a_whole_batch_is_not_counted(self):
        assert loss_shares(lambda batch, step: 1 / 0, [part(1)], 0, ONE) == [{}]
