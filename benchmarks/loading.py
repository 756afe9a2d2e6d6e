# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Speed of the data loader alone, and the share of a training step that waits for data.

    python -m benchmarks.loading                          # both
    python -m benchmarks.loading --pictures 1024x512 --workers 0 4 --only loader
    python -m benchmarks.loading --root datasets/source   # the images of make demo, not some that are rendered now

The loader decodes, resizes and augments, and collates uint8 batches; no model is there. Its pictures are made up, in
files of their own and in tar shards, on a disk whose cache they fit into. JPEGs of four times the size asked for or
more are decoded at a reduced size (draft mode), beside which full decoding is measured. The waiting is that of the
demo's pretraining of MMET, the recipe itself. Contenders take turns in one process, so that what else the machine does
meets all alike: figures are medians over the turns.
"""

import argparse
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Tuple

from benchmarks.loader_contenders import (
    Contender,
    contenders,
    first_batches,
    images_per_second,
    Size,
)
from benchmarks.measuring import write_results
from benchmarks.waiting import SKIP, watch_pretraining
from tabulate import tabulate
from torchmultimodal_reid.data.synthetic.generate import generate
from torchmultimodal_reid.data.synthetic.request import Request

# the demo's own settings first
SETTINGS: Dict[str, Tuple[str, ...]] = {
    "1 worker, decoded images cached": (),
    "1 worker, no cache": ("data.cache=false",),
    "no worker, cached": ("data.workers=0",),
    "no worker, no cache": ("data.workers=0", "data.cache=false"),
}
# of the demo's kind; those for testing are there because the reader asks for some
PEOPLE = Request(identities=76, test_identities=4, cameras=6, images_per_camera=2)


def measure_loaders(found: List[Contender], turns: int) -> List[Dict[str, Any]]:
    """Images a second of each contender, and its speed by that of the first with pictures of the same size."""
    rates: List[List[float]] = [[] for _ in found]
    for _ in range(turns):
        for one, own in zip(found, rates):
            own.append(images_per_second(one.make_loader(), first_batches(one.workers)))
    rows = []
    for one, own in zip(found, rates):
        first = next(
            other for a, other in zip(found, rates) if a.pictures == one.pictures
        )
        rows.append(
            {
                "pictures": one.pictures,
                "source": one.source,
                "workers": one.workers,
                "images_per_second": statistics.median(own),
                "speed": statistics.median(a / b for a, b in zip(own, first)),
                "turns": own,
            }
        )
    return rows


def measure_waiting(
    root: Path, folder: Path, steps: int, turns: int
) -> List[Dict[str, Any]]:
    """The share of the demo's pretraining step that waits for data, under each of the settings."""
    shares: Dict[str, List[float]] = {name: [] for name in SETTINGS}
    seconds: Dict[str, List[float]] = {name: [] for name in SETTINGS}
    for turn in range(turns):
        for name, overrides in SETTINGS.items():
            output = folder / f"{turn}-{len(shares[name])}-{name.replace(' ', '-')}"
            watched = watch_pretraining(root, output, steps, overrides)
            shares[name].append(watched.share)
            seconds[name].append(watched.seconds)
    return [
        {
            "setting": name,
            "waiting": statistics.median(shares[name]),
            "seconds": statistics.median(seconds[name]),
            "turns": shares[name],
        }
        for name in SETTINGS
    ]


def show_loaders(rows: List[Dict[str, Any]]) -> str:
    lines = [
        (
            row["pictures"],
            row["source"],
            str(row["workers"]),
            f"{row['images_per_second']:,.0f}",
            f"{row['speed']:.2f}",
        )
        for row in rows
    ]
    headers = ["pictures", "from", "workers", "images/s", "x the first"]
    return tabulate(lines, headers, disable_numparse=True)


def show_waiting(rows: List[Dict[str, Any]]) -> str:
    lines = [
        (row["setting"], f"{row['seconds']:.3f}", f"{row['waiting']:.1%}")
        for row in rows
    ]
    headers = ["demo's pretraining with", "s a step", "of it waiting"]
    return tabulate(lines, headers, disable_numparse=True)


def size(text: str) -> Size:
    """``"256x128"`` as height and width."""
    try:
        height, width = (int(part) for part in text.split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected HEIGHTxWIDTH such as 256x128, got {text!r}"
        ) from error
    return height, width


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", choices=("loader", "waiting"), default=None)
    add("--pictures", nargs="+", type=size, default=[(128, 64), (1024, 512)])
    add("--image-size", type=size, default=(256, 128), help="what is asked for")
    add("--images", type=int, default=512, help="files of each size")
    add("--batch", type=int, default=64)
    add("--workers", nargs="+", type=int, default=[0, 2])
    add("--turns", type=int, default=3)
    add("--steps", type=int, default=24, help="of the pretraining")
    add("--root", type=Path, default=None, help="its images, with captions.json")
    add("--json", type=Path, default=None, help="file to write")
    arguments = parser.parse_args()
    if arguments.steps < SKIP + 2:
        parser.error(f"--steps must be at least {SKIP + 2}, got {arguments.steps}")

    results: Dict[str, Any] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.only != "waiting":
            found = []
            for pictures in arguments.pictures:
                print(f"writing pictures of {pictures}", file=sys.stderr)
                found += contenders(
                    folder,
                    pictures,
                    arguments.images,
                    arguments.workers,
                    arguments.image_size,
                    arguments.batch,
                )
            results["loader"] = measure_loaders(found, arguments.turns)
            print(show_loaders(results["loader"]), end="\n\n")
        if arguments.only != "loader":
            root = arguments.root
            if root is None:
                root = folder / "people"
                generate(PEOPLE, str(root), progress=False)
            results["waiting"] = measure_waiting(
                root, folder / "runs", arguments.steps, arguments.turns
            )
            print(show_waiting(results["waiting"]))
    settings = {key: str(value) for key, value in vars(arguments).items()}
    write_results(arguments.json, {"settings": settings, **results})


if __name__ == "__main__":
    main()
