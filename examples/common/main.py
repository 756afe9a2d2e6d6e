# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import sys
from typing import Callable

TRACEBACK_VARIABLE = "SHOW_TRACEBACK"


def run_main(main: Callable[[], None]) -> None:
    """Runs a program so that its user sees what was wrong and not where in the code it was noticed.

    ``ValueError`` is what the library raises for a wrong file, line, value or argument: its text is printed and the exit
    status is 2. With ``SHOW_TRACEBACK=1`` in the environment the traceback is printed too. Other exceptions are bugs and
    stay as they are.

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
