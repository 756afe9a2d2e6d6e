# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The contenders compute the same, so that their times can be compared."""

import pytest
import torch
from benchmarks.vtbr_contenders import contenders, make_batch, Size, step
from benchmarks.vtbr_step import compare, show

SMALL = Size("resnet18", 64, 32, 3, 32, 4, 50, 4, 9)
CPU = torch.device("cpu")


def test_captions_have_all_lengths():
    text = make_batch(SMALL, CPU).text
    assert (text != 0).sum(dim=1).tolist() == [4, 6, 9]
    assert [row[row != 0][-1].item() for row in text] == [3, 3, 3]
    assert (text[:, 0] == 2).all() and (text == 3).sum() == 3


def test_losses_are_equal():
    built = contenders(SMALL, CPU)
    batch = make_batch(SMALL, CPU)
    losses = []
    for contender in built.values():
        contender.model.eval()
        losses.append(step(contender, batch, torch.float32))
    assert list(built) == ["published", "one pass", "as the recipes"]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_rows_compare_with_the_published():
    rows = compare(SMALL, "bf16", CPU, turns=1)
    assert rows[0]["contender"] == "published" and rows[0]["speed"] == 1
    assert all(row["images_per_second"] > 0 for row in rows)
    assert show(rows).count("\n") == 4
