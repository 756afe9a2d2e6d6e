# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.transforms.erasing import erase_rectangle

COLOR = torch.tensor([1, 2, 3], dtype=torch.uint8)


def erased(area, aspect, row=0.0, column=0.0, size=(8, 4)):
    """Rows and columns of the rectangle, as (first, last + 1)."""
    image = torch.full((3, *size), 9, dtype=torch.uint8)
    result = erase_rectangle(image, area, aspect, row, column, COLOR)
    assert (image == 9).all()
    mask = (result == COLOR.view(3, 1, 1)).all(dim=0)
    assert torch.equal(mask, (result != 9).any(dim=0))
    bounds = []
    for line in (mask.any(dim=1), mask.any(dim=0)):
        places = line.nonzero().flatten().tolist()
        assert places == list(range(places[0], places[-1] + 1))
        bounds.append((places[0], places[-1] + 1))
    assert int(mask.sum()) == (bounds[0][1] - bounds[0][0]) * (
        bounds[1][1] - bounds[1][0]
    )
    return tuple(bounds)


def test_area_and_aspect():
    # 8 of 32 pixels, twice as high as wide
    assert erased(0.25, 2.0) == ((0, 4), (0, 2))
    assert erased(0.25, 0.5) == ((0, 2), (0, 4))


@pytest.mark.parametrize(
    "row, column, expected",
    [(1.0, 1.0, ((4, 8), (2, 4))), (0.5, 0.4, ((2, 6), (1, 3)))],
)
def test_place(row, column, expected):
    assert erased(0.25, 2.0, row, column) == expected


def test_a_side_that_is_too_long_is_cut():
    assert erased(0.5, 16.0) == ((0, 8), (0, 1))
    assert erased(1.0, 2.0) == ((0, 8), (0, 4))


def test_at_least_one_pixel():
    assert erased(0.001, 1.0) == ((0, 1), (0, 1))
