# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from contextlib import AbstractContextManager, contextmanager
from typing import Callable, Dict, Iterator, List

import pytest
import torch
from torch import Tensor
from torchmultimodal_reid.evaluation import block_search, measured_lists, neighbours
from torchmultimodal_reid.utils.seeding import generator_for

# How much points are scaled by
SCALES: Dict[str, float] = {"tiny": 1e-25, "huge": 1e17, "subnormal": 1e-41}
KINDS: List[str] = [
    *SCALES,
    *("random", "clusters", "copies", "outlier", "lengths", "offset", "heavy"),
    *("whole", "sphere", "simplex", "one"),
]


@pytest.fixture(params=KINDS)
def hard_points(request: pytest.FixtureRequest) -> Tensor:
    """60 points of 60 dimensions, float32, each kind hard on rounding in its own way."""
    kind: str = request.param
    generator = generator_for(0, kind)
    points = torch.randn(60, 60, generator=generator)
    pick = torch.randint(5, (60,), generator=generator)
    if kind == "clusters":
        return points[pick] * 5 + points * 1e-3
    if kind == "copies":
        return points[pick]
    if kind == "outlier":
        points[7] *= 1e5
    if kind == "lengths":  # from 1e-20 to 1e10
        points *= torch.logspace(-20, 10, 60)[:, None]
    if kind == "offset":
        return points * 1e-3 + 100
    if kind == "heavy":
        return points**7
    if kind == "whole":  # rounding takes nothing from them, but from their products
        points = torch.randint(-128, 129, (30, 60), generator=generator).float()
        points *= 2.0 ** pick[:30, None]
        return torch.cat([points, -points])
    if kind == "sphere":  # around one point: all are nearly as far from it
        points = torch.nn.functional.normalize(points, dim=1)
        points[0] = 0
    if kind == "simplex":  # all at one distance from each other
        return torch.eye(60)
    if kind == "one":
        return points[:1].repeat(60, 1)
    return points * SCALES.get(kind, 1.0)


PRODUCTS = {
    "float32": [torch.float32],
    "bfloat16": [torch.bfloat16],
    "both": [torch.bfloat16, torch.float32],
}


@pytest.fixture(scope="session")
def search_with() -> Callable[..., AbstractContextManager[None]]:
    """``with search_with("float32" | "bfloat16" | "both", NAME=size): ...``, whatever this CPU is quick at.

    Sizes are of the modules' constants, to have many blocks of few points.
    """

    @contextmanager
    def search(products: str, **sizes: float) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            dtypes = PRODUCTS[products]
            patch.setattr(neighbours, "product_dtypes", lambda features: dtypes)
            for name, size in sizes.items():
                modules = (block_search, measured_lists, neighbours)
                having = [module for module in modules if hasattr(module, name)]
                assert having, name
                for module in having:
                    patch.setattr(module, name, size)
            yield

    return search
