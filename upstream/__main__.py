# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Would TorchMultimodal take this part? ``python -m upstream PART --tools DIR``, or ``make upstream-check``."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Optional, Sequence

from upstream.checks import (
    Checks,
    diff_stat,
    installed_upstream,
    lay_out,
    upstream_version,
)
from upstream.layout import path_upstream, pull_request

ROOT = Path(__file__).resolve().parents[1]


def check(part: str, tools: Path) -> int:
    """Prints what the pull request would hold and what each check says; gives the number of checks that failed."""
    request = pull_request(ROOT, part)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        lay_out(ROOT, request, installed_upstream(), tree)
        for run in Checks(ROOT, tree, request, tools).all():
            outcome = run()
            failed += not outcome.passed
            print(
                f"{'passes' if outcome.passed else 'FAILS':8}{run.__doc__}", flush=True
            )
            if not outcome.passed:
                print(outcome.output)
        print(f"\nThe pull request, against {upstream_version()}:\n{diff_stat(tree)}")
    tests = " ".join(path_upstream(test) for test in request.tests)
    print(f"Test plan: pytest {tests}" if part != "all" else "Test plan: pytest tests")
    return failed


def main(arguments: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m upstream", description=__doc__)
    parser.add_argument(
        "part", help="modules/masking/token_masking.py, a folder, or all"
    )
    parser.add_argument(
        "--tools",
        type=Path,
        required=True,
        help="virtual environment with upstream/requirements.txt",
    )
    options = parser.parse_args(arguments)
    try:
        return 1 if check(options.part, options.tools) else 0
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
