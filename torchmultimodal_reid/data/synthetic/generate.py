# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Renders a data set to disk in Market-1501's layout, with captions."""

import json
import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from PIL import Image
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.synthetic.captions import write_captions
from torchmultimodal_reid.data.synthetic.randomness import draws, WORDS
from torchmultimodal_reid.data.synthetic.render import render, world_of
from tqdm import tqdm

# raise it whenever the same request gives other bytes
RENDERER_VERSION = 2
TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
_SPLITS = {TRAIN: "train", QUERY: "test", GALLERY: "test"}


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


class _Task(NamedTuple):
    request: Request
    folder: str
    number: int


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
    if r.cameras > 99 or r.identities + r.distractors > 9999:
        raise DataError(
            f"File names hold at most 99 cameras and 9999 persons, got {r.cameras} cameras and "
            f"{r.identities + r.distractors} persons"
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


def generate(
    request: Request, out: str, *, workers: Optional[int] = None, progress: bool = True
) -> bool:
    """Writes the data set, or finds that it is there already.

    It is written under a temporary name beside ``out`` and renamed when it is complete, so an interruption leaves
    nothing that looks like a data set.

    Args:
        request (Request): What to render.
        out (str): The folder. It must not exist, be empty, or hold the result of the same request.
        workers (Optional[int]): Number of processes. Default: one for each core. It changes no byte.
        progress (bool): Whether to show a progress bar. Default: True

    Returns:
        bool: True if the data set was written, False if it was there.

    Raises:
        DataError: If the request makes no sense, or ``out`` holds something else.
    """
    check(request)
    target = Path(out)
    if is_there(request, target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        half.chmod(0o755)
        records = _render_all(request, half, workers or _cores(), progress)
        _write_json(half / "captions.json", records)
        _write_json(half / "dataset.json", describe(request, records))
        if target.is_dir():
            target.rmdir()  # an empty folder; one that was filled in the meantime is not removed
        half.rename(target)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise
    return True


def _cores() -> int:
    # not all systems can say which cores this process may use
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


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
    had = {name: found.get(name) for name in wanted} if isinstance(found, dict) else {}
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
    counts = {folder: folders.count(folder) for folder in _SPLITS}
    counts["captions"] = sum(len(record["captions"]) for record in records)
    return {**_identity_of(request), "counts": counts}


def _render_all(
    request: Request, folder: Path, workers: int, progress: bool
) -> List[Dict[str, Any]]:
    for name in _SPLITS:
        (folder / name).mkdir()
    persons = request.identities + request.distractors
    tasks = [_Task(request, str(folder), number) for number in range(1, persons + 1)]
    records: List[Dict[str, Any]] = []
    per_person = request.cameras * request.images_per_camera
    with tqdm(total=persons * per_person, unit="img", disable=not progress) as bar:
        for done in _map(tasks, min(workers, len(tasks))):
            records += done
            bar.update(len(done))
    return sorted(records, key=lambda record: str(record["file_path"]))


def _map(tasks: List[_Task], workers: int) -> Iterator[List[Dict[str, Any]]]:
    if workers <= 1:
        yield from map(_render_person, tasks)
        return
    # the children get the scenes from this process where they are forked
    world_of(tasks[0].request.domain, tasks[0].request.cameras)
    with multiprocessing.Pool(workers) as pool:
        yield from pool.imap_unordered(_render_person, tasks)


def _render_person(task: _Task) -> List[Dict[str, Any]]:
    """Renders all pictures of a person and returns their records."""
    r = task.request
    records = []
    for camera in range(r.cameras):
        for shot in range(r.images_per_camera):
            person, picture = render(
                r.seed, r.domain, r.cameras, task.number, camera, shot, r.image_size
            )
            words = draws(WORDS, r.seed, r.domain, task.number, camera, shot)
            captions = write_captions(person, picture, r.captions_per_image, words)
            folder, identity = _place(r, task.number, shot)
            sequence = task.number - r.identities if identity == 0 else 1
            name = f"{identity:04d}_c{camera + 1}s{sequence}_{shot + 1:06d}_00.jpg"
            quality = world_of(r.domain, r.cameras).cameras[camera].quality
            Image.fromarray(picture.pixels).save(
                os.path.join(task.folder, folder, name), quality=quality
            )
            records.append(
                {
                    "file_path": f"{folder}/{name}",
                    "id": identity,
                    "split": _SPLITS[folder],
                    "captions": [caption.text for caption in captions],
                    "attributes": dict(person.attributes),
                    "told": [caption.told for caption in captions],
                }
            )
    return records


def _place(request: Request, number: int, shot: int) -> Tuple[str, int]:
    """Folder and identity of a picture: training persons come first, distractors last."""
    if number > request.identities:
        return GALLERY, 0
    if number <= request.identities - request.test_identities:
        return TRAIN, number
    return (QUERY if shot == 0 else GALLERY), number


def _write_json(path: Path, content: Any) -> None:
    path.write_text(
        json.dumps(content, indent=1, sort_keys=False) + "\n", encoding="utf-8"
    )
