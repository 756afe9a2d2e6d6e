# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any, Dict

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchmultimodal_reid.evaluation.query_expansion import (
    augment_gallery,
    expand_queries,
    nearest_columns,
)

QUERY = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
# at 0, 60, 90 and 180 degrees
GALLERY = torch.tensor([[5.0, 0.0], [0.5, 0.75**0.5], [0.0, 1.0], [-7.0, 0.0]])


def unit(x: float, y: float) -> Tensor:
    return functional.normalize(torch.tensor([x, y]), dim=0)


@pytest.mark.parametrize("chunk_size", [None, 1])
def test_the_mean_of_the_nearest(chunk_size: int) -> None:
    expanded = expand_queries(QUERY, GALLERY, k=2, chunk_size=chunk_size)
    expected = torch.stack([unit(2.5, 0.75**0.5), unit(0.5, 2 + 0.75**0.5)])
    torch.testing.assert_close(expanded, expected)


def test_weights_are_powers_of_the_cosine() -> None:
    expanded = expand_queries(QUERY[:1], GALLERY, k=4, alpha=3.0)
    # cosines 1, 1/2, 0 and -1: what points away has no weight
    torch.testing.assert_close(expanded[0], unit(2 + 0.5 / 8, 0.75**0.5 / 8))


def test_without_neighbours_only_lengths_change() -> None:
    torch.testing.assert_close(expand_queries(QUERY, GALLERY, k=0), torch.eye(2))


def test_more_neighbours_than_there_are() -> None:
    torch.testing.assert_close(
        expand_queries(QUERY, GALLERY, k=9), expand_queries(QUERY, GALLERY, k=4)
    )
    torch.testing.assert_close(
        augment_gallery(GALLERY, k=9), augment_gallery(GALLERY, k=3)
    )


def test_the_gallery_among_itself() -> None:
    augmented = augment_gallery(GALLERY, k=1)
    a, b, c, d = functional.normalize(GALLERY, dim=1)
    # 60 degrees is nearer to 90 than to 0; 180 degrees is nearest to 90
    expected = functional.normalize(torch.stack([a + b, b + c, c + b, d + c]), dim=1)
    torch.testing.assert_close(augmented, expected)


def test_a_copy_is_another() -> None:
    gallery = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    augmented = augment_gallery(gallery, k=1)
    torch.testing.assert_close(augmented[:2], gallery[:2])
    # of two at the same distance the first is taken
    torch.testing.assert_close(augmented[2], unit(1.0, 1.0))


def test_lower_precision_and_nothing_is_changed() -> None:
    gallery = GALLERY.bfloat16()
    before = gallery.clone()
    expanded = expand_queries(QUERY.bfloat16(), gallery, k=2)
    assert expanded.dtype == torch.float32
    torch.testing.assert_close(
        expanded, expand_queries(QUERY, GALLERY, k=2), rtol=0, atol=5e-3
    )
    augment_gallery(gallery)
    assert torch.equal(gallery, before)


def test_ties_are_taken_in_order() -> None:
    distances = torch.tensor([[2.0, 1.0, 2.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    assert nearest_columns(distances, 3).tolist() == [[0, 1, 3], [0, 1, 2]]
    assert nearest_columns(distances, 0).shape == (2, 0)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"k": -1}, "k must be at least 0, got -1"),
        ({"alpha": -1.0}, "alpha must be finite and at least 0, got -1.0"),
        ({"alpha": float("inf")}, "alpha must be finite"),
        ({"gallery_features": GALLERY[:, :1]}, "same dimension, got 2 and 1"),
        ({"query_features": QUERY / 0}, "query_features must be finite, but row 0"),
    ],
)
def test_bad_input(options: Dict[str, Any], message: str) -> None:
    arguments = {"query_features": QUERY, "gallery_features": GALLERY, **options}
    with pytest.raises(ValueError, match=message):
        expand_queries(**arguments)
