# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import re
from typing import Dict, Iterable

_LAYER = re.compile(r"^(?P<stack>.*?\b(?:layer|layers|blocks))\.(?P<index>\d+)\.")
_EMBEDDING = re.compile(r"embed|cls_token|mask_token|position")


def layer_decay_factors(names: Iterable[str], decay: float) -> Dict[str, float]:
    """Factors of the learning rate by which a transformer's lower layers learn more slowly, as in BEiT.

    Reference: https://arxiv.org/abs/2106.08254. The topmost layer of each stack (``encoder.layer.11.``) has the factor
    ``decay``, each layer below it ``decay`` times that of the one above, the embeddings one less than the lowest layer.
    What stands after a stack (norms, poolers, projections, heads) has the factor 1.

    Args:
        names (Iterable[str]): The names of the parameters.
        decay (float): The factor from a layer to the one below it.

    Returns:
        Dict[str, float]: A factor for each name.
    """
    names = list(names)
    depths = _stack_depths(names)
    return {name: _factor(name, depths, decay) for name in names}


def _stack_depths(names: Iterable[str]) -> Dict[str, int]:
    depths: Dict[str, int] = {}
    for name in names:
        match = _LAYER.match(name)
        if match:
            stack = match.group("stack")
            depths[stack] = max(depths.get(stack, 0), int(match.group("index")) + 1)
    return depths


def _factor(name: str, depths: Dict[str, int], decay: float) -> float:
    match = _LAYER.match(name)
    if match:
        return decay ** (depths[match.group("stack")] - int(match.group("index")))
    if not _EMBEDDING.search(name):
        return 1.0
    # an embedding belongs to the stack with which it shares most of its name
    shared = {stack: _common_parts(stack, name) for stack in depths}
    nearest = max(shared, key=lambda stack: shared[stack], default=None)
    return (
        decay ** (depths[nearest] + 1)
        if nearest is not None and shared[nearest]
        else 1.0
    )


def _common_parts(first: str, second: str) -> int:
    parts = zip(first.split("."), second.split("."))
    return next(
        (i for i, (a, b) in enumerate(parts) if a != b),
        min(first.count("."), second.count(".")) + 1,
    )
