# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""``python -m torchmultimodal_reid.data.synthetic.contact_sheet``: persons in rows, cameras in columns."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from PIL import Image
from torchmultimodal_reid.data.contact_sheet import draw_sheet, SheetRow
from torchmultimodal_reid.data.errors import DataError


def read_records(root: Path) -> List[Dict[str, Any]]:
    """The records of a data set's ``captions.json``."""
    try:
        records = json.loads((root / "captions.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{root} holds no captions.json; it must be a folder that the renderer wrote"
        ) from None
    except ValueError as error:
        raise DataError(f"{root / 'captions.json'} is not JSON: {error}") from None
    return [record for record in records if record["id"] > 0]


def contact_sheet(
    root: str, *, rows: int = 10, per_camera: int = 1, split: Optional[str] = None
) -> Image.Image:
    """Draws a sheet: a row for each person, the cameras side by side, and a caption under each row.

    Args:
        root (str): Folder of the data set.
        rows (int): How many persons. Default: 10
        per_camera (int): Pictures of a person by a camera. Default: 1
        split (Optional[str]): ``train`` or ``test``. Default: both

    Returns:
        PIL.Image.Image: The sheet.

    Raises:
        DataError: If the folder holds no such data set.
    """
    by_person: Dict[int, List[Dict[str, Any]]] = {}
    for record in read_records(Path(root)):
        if split in (None, record["split"]):
            by_person.setdefault(record["id"], []).append(record)
    if not by_person:
        raise DataError(f"{root} holds no person of split {split!r}")
    persons = [
        _choose(by_person[person], per_camera) for person in sorted(by_person)[:rows]
    ]
    with Image.open(Path(root) / persons[0][0]["file_path"]) as image:
        width, height = image.size
    return draw_sheet(
        [
            SheetRow(
                [str(Path(root) / record["file_path"]) for record in person],
                f"{person[0]['id']}: {person[0]['captions'][0]}",
            )
            for person in persons
        ],
        (height, width),
    )


def _camera(record: Dict[str, Any]) -> str:
    return str(record["file_path"]).split("_c")[-1].split("s")[0]


def _choose(records: Sequence[Dict[str, Any]], per_camera: int) -> List[Dict[str, Any]]:
    """The first pictures of every camera, in the order of the cameras."""
    chosen: List[Dict[str, Any]] = []
    for camera in sorted({_camera(record) for record in records}, key=int):
        of_camera = [record for record in records if _camera(record) == camera]
        chosen += sorted(of_camera, key=lambda r: str(r["file_path"]).split("/")[-1])[
            :per_camera
        ]
    return chosen


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m torchmultimodal_reid.data.synthetic.contact_sheet"
    )
    parser.add_argument("root", help="folder of the data set")
    parser.add_argument(
        "--out", required=True, help="picture to write, such as sheet.png"
    )
    parser.add_argument(
        "--rows", type=int, default=10, help="persons (default: %(default)s)"
    )
    parser.add_argument(
        "--per-camera",
        type=int,
        default=1,
        help="pictures of each camera (default: %(default)s)",
    )
    parser.add_argument("--split", choices=["train", "test"])
    args = parser.parse_args(arguments)
    try:
        sheet = contact_sheet(
            args.root, rows=args.rows, per_camera=args.per_camera, split=args.split
        )
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    sheet.save(args.out)
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
