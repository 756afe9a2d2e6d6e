# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Exports a checkpoint's image tower, text tower and fused model to torch.export and ONNX.

python -m torchmultimodal_reid.export runs/finetune/best runs/export
"""

import argparse
import sys
from typing import List, Optional

from tabulate import tabulate


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m torchmultimodal_reid.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint", help="a checkpoint's folder, or a name in the model zoo"
    )
    parser.add_argument("output", help="the folder to write")
    parser.add_argument(
        "--formats",
        nargs="+",
        default=["torch", "onnx"],
        metavar="FORMAT",
        help="torch (.pt2), onnx, or both (default)",
    )
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs the command line; returns the exit status."""
    args = build_parser().parse_args(arguments)
    # after the arguments are read: torch takes seconds to import
    from torchmultimodal_reid.export.write import export_checkpoint

    try:
        graphs = export_checkpoint(args.checkpoint, args.output, args.formats)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = [
        (graph.file, ", ".join(graph.inputs), f"{graph.difference:.1e}")
        for graph in graphs
    ]
    headers = ("file", "inputs", "largest difference from the model")
    print(tabulate(rows, headers=headers, disable_numparse=True))
    print(f"written: {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
