# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import signal
import sys
from typing import Callable, TYPE_CHECKING

from examples.common.distributed import leave_process_group

if TYPE_CHECKING:
    from examples.common.engine import Trainer

TRACEBACK_VARIABLE = "SHOW_TRACEBACK"


def run_main(main: Callable[[], None]) -> None:
    """Runs a program so that its user sees what was wrong and not where in the code it was noticed.

    ``ValueError`` is what the library raises for a wrong file, line, value or argument: its text is printed and the
    exit status is 2. With ``SHOW_TRACEBACK=1`` in the environment the traceback is printed too. Other exceptions are
    bugs and stay as they are.

    Args:
        main (Callable[[], None]): The program.
    """
    try:
        main()
    except ValueError as error:
        if os.environ.get(TRACEBACK_VARIABLE, "0") not in ("", "0"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


def finish(trainer: "Trainer", module: str) -> None:
    """Says where the result of a run lies; for one that a signal stopped before its end, how to go on, and exits with
    130 after Ctrl-C, as a shell expects, and with 0 after SIGTERM, for a scheduler that will resume it.

    Args:
        trainer (Trainer): After ``fit``.
        module (str): The recipe, as ``python -m`` takes it.
    """
    is_main = trainer.accelerator.is_main_process
    leave_process_group()
    if is_main and trainer.skipped.total:
        print(
            f"warning: {trainer.skipped.total} of {trainer.step} steps were skipped, since their loss or gradient was "
            "not finite",
            file=sys.stderr,
        )
    if trainer.is_finished:
        if is_main:
            print(f"done after {trainer.step} steps: {trainer.result}")
        return
    if is_main:
        print(
            f"stopped after step {trainer.step}, which is saved; "
            f"go on with: python -m {module} --resume {trainer.directory}",
            file=sys.stderr,
        )
    sys.exit(130 if trainer.stop_signal == signal.SIGINT else 0)
