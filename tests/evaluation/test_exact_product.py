# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from contextlib import nullcontext

import pytest
import torch
from torchmultimodal_reid.evaluation.exact_product import (
    aligned_empty,
    exact_product,
    full_float32,
)
from torchmultimodal_reid.evaluation.ranking import evaluate_ranking
from torchmultimodal_reid.evaluation.re_ranking import re_rank


def allowed():
    """What float32 products may be made of."""
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        places = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)
        return tuple(place.fp32_precision for place in places)
    return (torch.get_float32_matmul_precision(),)


@pytest.fixture
def lower_precision():
    """TF32 and bfloat16 are allowed, as for a fast training."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield allowed()
    torch.set_float32_matmul_precision(before)


@pytest.fixture
def seen(monkeypatch):
    """What each product was allowed to be made of."""
    calls, multiply = [], torch.mm

    def watched(*arguments, **options):
        calls.append(allowed())
        return multiply(*arguments, **options)

    monkeypatch.setattr(torch, "mm", watched)
    return calls


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_of_an_evaluation_are_full_float32(lower_precision, seen, dtype):
    features = torch.eye(4).to(dtype)
    for metric in ("cosine", "euclidean"):
        evaluate_ranking(features, features, [1, 2, 3, 4], [1, 2, 3, 4], metric=metric)
    # all points at one distance: near ties are looked through again
    re_rank(torch.ones(3, 2), torch.ones(40, 2), k1=2, k2=2).dense()
    assert len(seen) >= 4 and set(seen) <= {("ieee", "ieee"), ("highest",)}
    assert allowed() == lower_precision != seen[0]
    assert torch.get_float32_matmul_precision() == "medium"


def test_settings_come_back_after_an_error(lower_precision):
    with pytest.raises(RuntimeError):
        exact_product(torch.ones(2, 3), torch.ones(2, 3), torch.empty(2, 3))
    assert allowed() == lower_precision


@pytest.mark.parametrize("fails", [False, True])
def test_settings_of_an_older_torch(monkeypatch, fails):
    settings = ["medium"]
    monkeypatch.setattr(torch.backends.cuda, "matmul", object())
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: settings[-1])
    monkeypatch.setattr(torch, "set_float32_matmul_precision", settings.append)
    with pytest.raises(KeyError) if fails else nullcontext():
        with full_float32():
            assert settings[-1] == "highest"
            if fails:
                raise KeyError
    assert settings == ["medium", "highest", "medium"]


def test_autocast_does_not_lower_the_products():
    left, right = torch.full((1, 1), 1 + 2**-12), torch.ones(1, 1)
    out = torch.empty(1, 1)
    with torch.autocast("cpu", torch.bfloat16), full_float32():
        exact_product(left, right, out)
    assert out.item() == 1 + 2**-12


def test_rows_for_products_begin_at_whole_cache_lines():
    for columns in (1, 16, 17, 100):
        matrix = aligned_empty(5, columns, torch.device("cpu"))
        assert matrix.shape == (5, columns) and matrix.stride(0) % 16 == 0
        left, right = torch.ones(5, 3), torch.ones(3, columns)
        exact_product(left, right, matrix)
        assert (matrix == 3).all()
