# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import hashlib
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Dict, Iterable, Iterator, Mapping, Optional, Tuple

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.data.inspect.findings import Collector
from torchmultimodal_reid.data.sample import PersonImage

# decoding at a reduced size still reads every byte, so it finds what is cut short
_SIZE = (64, 32)
_CHUNK = 1024


def check_files(
    images: Iterable[PersonImage],
    parts: Mapping[str, str],
    found: Collector,
    workers: int = 2,
) -> Iterator[None]:
    """Decodes every image and looks for files of the same content. Yields once an image, for a progress bar.

    Args:
        images (Iterable[PersonImage]): The images, each once.
        parts (Mapping[str, str]): Path of an image -> ``"train"`` or ``"test"``.
        found (Collector): Where findings go.
        workers (int): Threads. Default: 2
    """
    first: Dict[bytes, PersonImage] = {}
    remaining = iter(images)
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        while True:
            chunk = list(islice(remaining, _CHUNK))
            if not chunk:
                return
            for image, (digest, error) in zip(chunk, pool.map(_check, chunk)):
                if error is not None:
                    found.add("broken_images", "images that cannot be read", error)
                if digest is not None:
                    _compare(first.setdefault(digest, image), image, parts, found)
                yield


def _check(image: PersonImage) -> Tuple[Optional[bytes], Optional[str]]:
    digest, error = None, None
    try:
        with open(image.path, "rb") as file:
            digest = hashlib.blake2b(file.read(), digest_size=16).digest()
        read_image(image.path, _SIZE)
    except OSError as problem:
        error = f"{image.path}: {problem.strerror or problem}"
    except DataError as problem:
        error = str(problem)
    return digest, error


def _compare(
    first: PersonImage, image: PersonImage, parts: Mapping[str, str], found: Collector
) -> None:
    if first.path == image.path:
        return
    example = f"{first.path} = {image.path}"
    found.add(
        "duplicate_images", "images that another one equals byte by byte", example
    )
    if parts[first.path] != parts[image.path]:
        found.add(
            "duplicates_in_train_and_test",
            "images of the training part that are in query or gallery too, byte by byte",
            example,
        )
    if first.identity != image.identity:
        found.add(
            "duplicates_across_identities",
            "images that an image of another identity equals byte by byte",
            f"{example} (identities {first.identity} and {image.identity})",
        )
