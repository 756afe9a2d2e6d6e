# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import hashlib
from typing import Union

import torch

Key = Union[int, str]


def derive_seed(*keys: Key) -> int:
    """A seed that is a function of the keys alone, the same on every machine, Python and torch release.

    Sample order, augmentation, masks and dropout are drawn from seeds such as
    ``derive_seed(run_seed, "masks", step)``, so a run that was stopped at any step goes on with the very same
    draws, without any generator's state having been saved.

    Args:
        keys (Union[int, str]): What the draw depends on. The order matters.

    Returns:
        int: A seed in [0, 2**63).
    """
    text = "\x1f".join(f"{type(key).__name__}:{key}" for key in keys)
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator_for(
    *keys: Key, device: Union[str, torch.device] = "cpu"
) -> torch.Generator:
    """A torch generator on ``device`` that starts at ``derive_seed(*keys)``."""
    generator = torch.Generator(device=device)
    generator.manual_seed(derive_seed(*keys))
    return generator
