# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Draws the pictures of the documentation: ``python -m docs.figures``, into ``docs/images``."""

import argparse
from pathlib import Path
from typing import Callable, Dict

from docs.figures import masking, mmet, vtbr
from docs.figures.drawing import Diagram

FIGURES: Dict[str, Callable[[], Diagram]] = {
    "mmet": mmet.draw,
    "vtbr": vtbr.draw,
    "masking": masking.draw,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m docs.figures", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    out = parser.parse_args().out
    for name, draw in FIGURES.items():
        draw().save(out / f"{name}.png")
        print(out / f"{name}.png")
