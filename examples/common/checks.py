# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a configuration's values must be, said by the key that the user wrote."""

import difflib
import math
from dataclasses import fields, MISSING
from typing import Any, Mapping, Sequence


def check_range(key: str, value: float, low: float, high: float = math.inf) -> None:
    """Raises a ValueError unless ``low <= value <= high``."""
    if not low <= value <= high:
        expected = f">= {low}" if high == math.inf else f"from {low} to {high}"
        raise ValueError(f"{key} must be {expected}, got {value}")


def check_choice(key: str, value: str, known: Sequence[str]) -> None:
    """Raises a ValueError that names the nearest choice unless ``value`` is one of ``known``."""
    if value not in known:
        close = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ValueError(
            f"{key} must be one of {', '.join(known)}, got {value!r}.{hint}"
        )


def check_shares(key: str, count: int, world_size: int, parts: int) -> None:
    """Raises a ValueError unless a batch can be dealt out to processes, and each share cut into parts.

    Args:
        key (str): What the user wrote.
        count (int): How many there are of it in a batch: samples, or people that stay together.
        world_size (int): The processes.
        parts (int): Those of ``loop.accumulate``.
    """
    share, rest = divmod(count, world_size)
    if rest:
        raise ValueError(
            f"{key} is {count}, which {world_size} processes do not divide; take a multiple of {world_size}, or "
            "another number of processes"
        )
    if share % parts:
        own = (
            ""
            if world_size == 1
            else f", of which each of {world_size} processes has {share}"
        )
        fitting = [n for n in range(1, share + 1) if share % n == 0]
        raise ValueError(
            f"loop.accumulate is {parts}, but {key} is {count}{own}: that does not divide into {parts} parts. Take "
            f"loop.accumulate from {', '.join(map(str, fitting))}, or another {key}"
        )


def check_weights(config: Any, key: str) -> None:
    """Raises a ValueError unless the weights under ``key`` have the names of its default, and one is above 0.

    Args:
        config (Any): A dataclass; its field ``key`` holds weights by name and has a default factory.
        key (str): The field.
    """
    weights: Mapping[str, float] = getattr(config, key)
    factory = next(f.default_factory for f in fields(config) if f.name == key)
    assert factory is not MISSING
    known = list(factory())
    for name, weight in weights.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"Did you mean {key}.{close[0]}? " if close else ""
            raise ValueError(
                f"unknown key {key}.{name}. {hint}Known: {', '.join(known)}"
            )
        if not 0 <= weight < math.inf:
            raise ValueError(f"{key}.{name} must be a weight >= 0, got {weight}")
    if not any(weights.values()):
        raise ValueError(
            f"every weight of {key} is 0, expected one above it: {', '.join(known)}"
        )
