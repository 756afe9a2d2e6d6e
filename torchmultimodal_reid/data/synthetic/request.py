# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a data set is asked for, and whether a folder holds it already."""

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.synthetic.captions import STYLES

# raise it whenever the same request gives other bytes
RENDERER_VERSION = 5
TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
SPLITS = {TRAIN: "train", QUERY: "test", GALLERY: "test"}


class Request(NamedTuple):
    """What to render. Everything in it, and nothing else, decides about the bytes.

    Args:
        identities (int): Number of persons with an identity, training and test together.
        cameras (int): Number of cameras; every person is seen by all.
        images_per_camera (int): Pictures of a person by a camera.
        test_identities (int): How many of the persons are for testing.
        domain (int): Decides about cameras, places and how frequent clothes and colors are.
        seed (int): Decides about the persons and the shots.
        image_size (Tuple[int, int]): Height and width.
        captions_per_image (int): Captions of each picture.
        distractors (int): Persons that are only in the gallery, under identity 0000.
        caption_style (str): One of :data:`~torchmultimodal_reid.data.synthetic.captions.STYLES`.
    """

    identities: int
    cameras: int = 6
    images_per_camera: int = 4
    test_identities: int = 0
    domain: int = 0
    seed: int = 0
    image_size: Tuple[int, int] = (128, 64)
    captions_per_image: int = 2
    distractors: int = 0
    caption_style: str = "varied"


def check(request: Request) -> None:
    """Raises a ``DataError`` for a request that cannot be a re-identification data set."""
    r = request
    for name, least in (
        ("identities", 1),
        ("cameras", 2),
        ("images_per_camera", 1),
        ("test_identities", 0),
        ("domain", 0),
        ("seed", 0),
        ("captions_per_image", 1),
        ("distractors", 0),
    ):
        if getattr(r, name) < least:
            raise DataError(f"{name} must be at least {least}, got {getattr(r, name)}")
    if r.caption_style not in STYLES:
        raise DataError(
            f"caption_style must be one of {', '.join(STYLES)}, got {r.caption_style!r}"
        )
    if r.cameras > 9 or r.identities + r.distractors > 9999:
        raise DataError(
            "Market-1501's file names hold at most 9 cameras and 9999 persons, got "
            f"{r.cameras} cameras and {r.identities + r.distractors} persons"
        )
    if r.test_identities > r.identities:
        raise DataError(
            f"test_identities must be at most identities = {r.identities}, got {r.test_identities}"
        )
    if r.test_identities and r.images_per_camera < 2:
        raise DataError(
            "images_per_camera must be at least 2 where there are test identities, because one picture of each "
            f"camera is a query and the others are the gallery, got {r.images_per_camera}"
        )
    height, width = r.image_size
    if min(height, width) < 16 or max(height, width) > 1024:
        raise DataError(
            f"image_size must be two numbers from 16 to 1024, got {height} {width}"
        )


def is_there(request: Request, target: Path) -> bool:
    """Whether ``target`` holds the result of the request; an error if it holds anything else."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    if not target.is_dir():
        raise DataError(
            f"{target} is a file; --out must be a folder that is new or empty"
        )
    try:
        found = json.loads((target / "dataset.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(
            f"{target} is not empty and holds no synthetic data set; choose another folder or empty it first"
        ) from None
    wanted = _identity_of(request)
    # data sets of before there were styles do not name theirs
    found = {"caption_style": "varied", **found} if isinstance(found, dict) else {}
    had = {name: found.get(name) for name in wanted}
    different = [name for name in wanted if had.get(name) != wanted[name]]
    if different:
        name = different[0]
        raise DataError(
            f"{target} holds another data set: its {name} is {had.get(name)!r}, {wanted[name]!r} was asked for; "
            "choose another folder or remove this one first"
        )
    return True


def _identity_of(request: Request) -> Dict[str, Any]:
    # through JSON, so that tuples compare as lists
    arguments = json.loads(json.dumps(request._asdict()))
    return {
        "renderer": "torchmultimodal_reid.data.synthetic",
        "version": RENDERER_VERSION,
        **arguments,
    }


def describe(request: Request, records: List[Dict[str, Any]]) -> Dict[str, Any]:
    """What ``dataset.json`` holds: the request, the renderer's version and the counts."""
    folders = [record["file_path"].split("/")[0] for record in records]
    counts = {folder: folders.count(folder) for folder in SPLITS}
    counts["captions"] = sum(len(record["captions"]) for record in records)
    return {**_identity_of(request), "counts": counts}
