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
import signal
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from PIL import Image
from torchmultimodal_reid.data.synthetic.captions import write_captions
from torchmultimodal_reid.data.synthetic.randomness import draws, WORDS
from torchmultimodal_reid.data.synthetic.render import render, world_of
from torchmultimodal_reid.data.synthetic.request import (
    check,
    describe,
    GALLERY,
    is_there,
    QUERY,
    Request,
    SPLITS,
    TRAIN,
)
from tqdm import tqdm


class _Task(NamedTuple):
    request: Request
    folder: str
    number: int


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


def _render_all(
    request: Request, folder: Path, workers: int, progress: bool
) -> List[Dict[str, Any]]:
    for name in SPLITS:
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
    with multiprocessing.Pool(workers, initializer=_leave_interrupts) as pool:
        yield from pool.imap_unordered(_render_person, tasks)


def _leave_interrupts() -> None:
    # Ctrl-C is for the parent, which cleans up
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
            captions = write_captions(
                person, picture, r.captions_per_image, words, r.caption_style
            )
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
                    "split": SPLITS[folder],
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
