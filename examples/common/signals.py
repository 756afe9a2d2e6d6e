# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Ctrl-C and SIGTERM ask a run to finish its step, to save it and to end."""

import os
import signal
from types import FrameType, TracebackType
from typing import Optional, Type

NUMBERS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Notes, while it is entered, which of the two signals came.

    Args:
        is_main (bool): Whether this process tells that it was heard.
    """

    def __init__(self, is_main: bool) -> None:
        self.is_main = is_main
        self.received: Optional[int] = None

    def __enter__(self) -> "StopSignals":
        self._previous = {
            number: signal.signal(number, self._receive) for number in NUMBERS
        }
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: Optional[FrameType]) -> None:
        if number == self.received == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait for the step
        self.received = number
        if self.is_main:
            # print() must not be called in the midst of another print()
            os.write(2, b"\nfinishing this step, to save it\n")
