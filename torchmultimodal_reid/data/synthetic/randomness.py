# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import numpy as np

# one number per kind of draw, so that two kinds never share a stream
DOMAIN, CAMERA, SCENE, IDENTITY, SHOT, PIXELS, WORDS = range(7)


def draws(kind: int, *keys: int) -> np.random.Generator:
    """A generator that is a function of the keys alone.

    Every image is drawn from ``(seed, domain, identity, camera, shot)`` and from nothing that came before it, so
    the bytes of a data set do not depend on how many processes rendered it, or in which order.

    Args:
        kind (int): What is drawn: one of the constants of this file.
        keys (int): Non-negative numbers that the draw depends on. The order matters.

    Returns:
        numpy.random.Generator: A Philox generator.
    """
    sequence = np.random.SeedSequence([kind, *keys])
    return np.random.Generator(np.random.Philox(sequence))
