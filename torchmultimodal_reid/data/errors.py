# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Sequence


class DataError(ValueError):
    """Something on disk is not what a reader expects. The message names the file, the value and what to do."""


class UnreadableImageError(DataError):
    """An image file is missing, cut short, damaged or no image at all. Another image may be taken in its place.

    Args:
        path (str): The file.
        problem (str): What is wrong with it.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path

    def __str__(self) -> str:
        return ": ".join(self.args)


def listed(names: Sequence[str], limit: int = 5) -> str:
    """The first names of a long list and how many follow, for messages: ``a, b, c and 7 more``."""
    shown = ", ".join(names[:limit])
    more = len(names) - limit
    return f"{shown} and {more} more" if more > 0 else shown
