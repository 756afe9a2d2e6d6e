# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional

import torch
from torch import Tensor


class TokenSelection(NamedTuple):
    """Some tokens of each sample, as many columns as the sample with the most has; the others are filled up."""

    places: Tensor  # long (b, k), in ascending order
    padding: Optional[
        Tensor
    ]  # bool (b, k), True where filled up; None where nothing is


def select_tokens(chosen: Tensor, at_least: int = 0) -> TokenSelection:
    """The positions of the chosen tokens, in one rectangular tensor however many each sample has.

    A sample with fewer than the sample with the most is filled up by positions that are not chosen; ``padding`` says
    where, so that attention leaves them out. Samples with the same number need no padding, and attention no mask.
    An accelerator is waited for once, since the numbers decide the shape.

    Args:
        chosen (Tensor): Bool of shape ``(b, n)``.
        at_least (int): Columns that there are at least, at most ``n``. Default: 0.

    Returns:
        TokenSelection: Of ``k`` columns, the highest number of chosen tokens or ``at_least``.
    """
    lowest, highest = torch.stack(chosen.sum(dim=1).aminmax()).tolist()
    count = max(highest, at_least)
    # a stable sort keeps the order of the chosen
    places = chosen.logical_not().byte().argsort(dim=1, stable=True)[:, :count]
    return TokenSelection(
        places, None if lowest == count else ~chosen.gather(1, places)
    )


def gather_tokens(tokens: Tensor, selection: TokenSelection) -> Tensor:
    """The selected tokens, of shape ``(b, k, d)``, of ``tokens`` ``(b, n, d)``."""
    batch, length, width = tokens.shape
    places = selection.places
    # rows of a matrix: an order of magnitude faster backward than indexing by two tensors
    start = torch.arange(batch, device=places.device).unsqueeze(1) * length
    rows = tokens.reshape(-1, width).index_select(0, (places + start).flatten())
    return rows.view(batch, places.shape[1], width)
