# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math
from typing import Optional, Sequence, Tuple, Union

import torch
from torch import Tensor
from torchmultimodal_reid.modules.masking.row_draws import RowDraws

Ratio = Union[float, Sequence[float]]
# what masks are drawn from: a row's draws depend on the batch around it with a generator, not with row draws
Draws = Union[torch.Generator, RowDraws]


def ratio_range(ratio: Ratio, name: str = "ratio") -> Tuple[float, float]:
    """Reads a ratio given as one number or as the range that one is drawn from at each step.

    Args:
        ratio (Union[float, Sequence[float]]): A share in [0, 1], or ``(low, high)``.
        name (str): What to call it in an error. Default: "ratio"

    Returns:
        Tuple[float, float]: ``(low, high)``, equal where one number was given.

    Raises:
        ValueError: If it is neither, or not ``0 <= low <= high <= 1``.
    """
    expected = "expected one share in [0, 1], or (low, high) with 0 <= low <= high <= 1"
    try:
        ends = (
            [float(ratio)] * 2
            if isinstance(ratio, (int, float))
            else [float(end) for end in ratio]
        )
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {ratio!r}: {expected}") from None
    if (
        len(ends) != 2
        or not all(map(math.isfinite, ends))
        or not 0 <= ends[0] <= ends[1] <= 1
    ):
        raise ValueError(f"{name} is {ratio!r}: {expected}")
    return ends[0], ends[1]


def draw_ratio(ends: Tuple[float, float], generator: Optional[Draws]) -> float:
    """Draws one ratio, uniformly from the range.

    The ratio decides shapes, so it is a Python number. From a generator on the CPU, or none, no device is waited for;
    from a generator on an accelerator this waits for it once. A range of one number draws nothing.

    Args:
        ends (Tuple[float, float]): ``(low, high)`` from :func:`ratio_range`.
        generator (Optional[Draws]): Source of the draw, torch's global one on the CPU if None.
    """
    low, high = ends
    if low == high:
        return low
    if isinstance(generator, RowDraws):
        return low + (high - low) * generator.shared()
    return low + (high - low) * uniform((1,), generator, "cpu").item()


def uniform(
    shape: Sequence[int],
    generator: Optional[Draws],
    device: Union[str, torch.device],
) -> Tensor:
    """Uniform numbers in [0, 1), drawn where the generator lives and moved to ``device``.

    A CPU generator therefore gives the same numbers whatever device the tensors are on. Row draws take the first
    dimension for the rows.
    """
    if isinstance(generator, RowDraws):
        return generator.uniform(shape).to(device)
    source = device if generator is None else generator.device
    return torch.rand(tuple(shape), generator=generator, device=source).to(device)


def uniform_integers(
    high: int,
    shape: Sequence[int],
    generator: Optional[Draws],
    device: Union[str, torch.device],
) -> Tensor:
    """Integers in [0, ``high``), drawn where the generator lives and moved to ``device``."""
    if isinstance(generator, RowDraws):
        return generator.integers(high, shape).to(device)
    source = device if generator is None else generator.device
    return torch.randint(high, tuple(shape), generator=generator, device=source).to(
        device
    )
