# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional, Sequence, Union

import torch
from torch import Tensor

_BITS = 0xFFFFFFFFFFFFFFFF
# SplitMix64 (https://dl.acm.org/doi/10.1145/2714064.2660195): its increment and the factors of its mixing function
_STRIDE = 0x9E3779B97F4A7C15
_FACTORS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31


class RowDraws:
    """A source of draws in which each row of a batch has its own, whatever other rows stand beside it.

    What a row gets is a function of the seed, its keys and how many draws came before: not of its place in the batch,
    nor of how many processes share the batch, nor of how far the captions beside it are padded. Numbers are those of
    SplitMix64, computed by integers for all rows at once on the device of the keys, the same on every device.

    It stands where a ``torch.Generator`` may stand, as in
    :class:`~torchmultimodal_reid.modules.masking.patch_masking.BlockPatchMasking`.

    Args:
        seed (int): What all rows share, such as ``derive_seed(run_seed, "masks", step)``.
        keys (Tensor): Long of shape ``(b,)`` each: together they tell a row from any other, such as the number of a
            sample and of its draw.
    """

    def __init__(self, seed: int, *keys: Tensor) -> None:
        self._rows = _mix(torch.full_like(keys[0], _signed(seed)))
        for key in keys:
            self._rows = _mix(self._rows ^ _mix(key + _signed(_STRIDE)))
        self._shared = _mix(torch.tensor([_signed(seed)]))
        self._count = 0

    @property
    def device(self) -> torch.device:
        """Where the numbers are computed."""
        return self._rows.device

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, places: Tensor) -> "RowDraws":
        """The draws of some of the rows, as they go on from here."""
        part = RowDraws.__new__(RowDraws)
        part._count, part._shared = self._count, self._shared
        part._rows = self._rows[places.to(self.device)]
        return part

    # integers that wrap around are no thing for compilers, which reckon with those of Python
    @torch.compiler.disable
    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Uniform numbers in [0, 1), float32, of a shape that begins with the number of rows."""
        # 24 bits are as many as float32 tells apart
        return _shift(self._draw(self._rows, shape), 40).float() * 2.0**-24

    @torch.compiler.disable
    def integers(self, high: int, shape: Sequence[int]) -> Tensor:
        """Integers in [0, ``high``), long, of a shape that begins with the number of rows."""
        return _shift(self._draw(self._rows, shape), 33) % high

    @torch.compiler.disable
    def shared(self) -> float:
        """One number in [0, 1) for all rows. Nothing waits for a device."""
        return _shift(self._draw(self._shared, (1,)), 40).item() * 2.0**-24

    def _draw(self, rows: Tensor, shape: Sequence[int]) -> Tensor:
        if shape[0] != len(rows):
            raise ValueError(
                f"draws are for {len(rows)} rows, but {shape[0]} were asked for; take some rows by rows()"
            )
        self._count += 1
        start = _mix(rows + _signed(self._count * _STRIDE))
        row_size = 1
        for length in shape[1:]:
            row_size *= length
        places = torch.arange(1, row_size + 1, device=rows.device) * _signed(_STRIDE)
        return _mix(start.unsqueeze(1) + places).view(list(shape))


def take_rows(
    draws: Union[None, torch.Generator, RowDraws], places: Optional[Tensor]
) -> Union[None, torch.Generator, RowDraws]:
    """The source of draws for some rows of a batch, None being all; a generator knows no rows and stays what it is."""
    if isinstance(draws, RowDraws) and places is not None:
        return draws.rows(places)
    return draws


def _mix(number: Tensor) -> Tensor:
    # products of int64 wrap around, which is what is wanted
    for shift, factor in _FACTORS:
        number = (number ^ _shift(number, shift)) * _signed(factor)
    return number ^ _shift(number, _LAST_SHIFT)


def _shift(number: Tensor, bits: int) -> Tensor:
    """A shift to the right that fills up with zeros; that of signed integers would repeat the sign."""
    return (number >> bits) & (_BITS >> bits)


def _signed(number: int) -> int:
    number &= _BITS
    return number - (1 << 64) if number >> 63 else number
