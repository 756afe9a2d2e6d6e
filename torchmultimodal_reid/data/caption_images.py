# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What the readers of generated captions share: captions by image, where every image is a person of its own."""

import logging
import os
from typing import Dict, List, Mapping, Sequence, Tuple

from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.image_files import absent_files
from torchmultimodal_reid.data.sample import PersonImage

logger = logging.getLogger(__name__)

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def images_with_captions(
    captions: Mapping[str, Sequence[str]],
    root: str,
    source: str,
    missing_images: str = "error",
) -> Tuple[PersonImage, ...]:
    """Finds the images that captions are for. Who is in them is not known, so each gets an identity of its own.

    An image is looked for at its path below ``root``, and then by its name alone anywhere below it, because paths of
    the machine where the captions were made are of no use here.

    Args:
        captions (Mapping[str, Sequence[str]]): Path of the image -> its captions.
        root (str): The folder to look in.
        source (str): The captions file, for messages.
        missing_images (str): ``"error"``, or ``"allow"`` to log and leave out images that are not there.
            Default: ``"error"``

    Returns:
        Tuple[PersonImage, ...]: The images in the order of their paths, identities counted from 0, camera 0.

    Raises:
        ValueError: If ``missing_images`` is invalid.
        DataError: If an image is not there and that is not allowed, if none is, or a name fits several images.
    """
    if missing_images not in ("error", "allow"):
        raise ValueError(
            f"missing_images must be 'error' or 'allow', got {missing_images!r}"
        )
    direct = {
        name: os.path.normpath(os.path.join(root, name.lstrip("/")))
        for name in captions
    }
    elsewhere = set(absent_files(direct.values()))
    by_name = _walk(root) if elsewhere else {}
    found: Dict[str, List[str]] = {}
    absent = []
    for name, texts in captions.items():
        path = direct[name]
        if path in elsewhere:
            candidates = by_name.get(os.path.basename(name), [])
            if len(candidates) > 1:
                raise DataError(
                    f"{source}: {name!r} fits {len(candidates)} images: {listed(candidates)}; give its path"
                )
            if not candidates:
                absent.append(name)
                continue
            path = candidates[0]
        # several files of captions may name one image by different paths
        found.setdefault(path, []).extend(texts)
    if absent:
        message = f"{source}: {len(absent)} of {len(captions)} images are not there under {root}: {listed(absent)}"
        if missing_images == "error" or not found:
            raise DataError(
                f"{message}. Put them in their place, or pass missing_images='allow' if only some are wanted"
            )
        logger.warning(message)
    if not found:
        raise DataError(f"{source}: there are no captions in it")
    return tuple(
        PersonImage(path, identity, 0, tuple(found[path]))
        for identity, path in enumerate(sorted(found))
    )


def _walk(root: str) -> Dict[str, List[str]]:
    by_name: Dict[str, List[str]] = {}
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(EXTENSIONS):
                by_name.setdefault(name, []).append(os.path.join(folder, name))
    return by_name
