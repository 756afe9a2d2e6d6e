# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The files that an annotation file speaks of: where it is itself, and whether its images are there."""

import logging
import os
from typing import Dict, Iterable, List, Sequence, Set

from torchmultimodal_reid.data.errors import DataError, listed

logger = logging.getLogger(__name__)


def find_annotations(root: str, folder: str, files: Sequence[str]) -> str:
    """Path of a data set's annotation file: in ``root``, or in the ``folder`` that is in it.

    Args:
        root (str): What the user gave.
        folder (str): The data set's usual name.
        files (Sequence[str]): Names that the file goes by.

    Returns:
        str: The first that there is.

    Raises:
        DataError: If there is none.
    """
    if not os.path.isdir(root):
        raise DataError(
            f"the data set's root {root!r} is not a folder; expected one that holds {' or '.join(files)}"
        )
    for candidate in (root, os.path.join(root, folder)):
        for name in files:
            path = os.path.join(candidate, name)
            if os.path.isfile(path):
                return path
    found = sorted(os.listdir(root))
    raise DataError(
        f"{root}: expected {' or '.join(files)}, or a folder {folder} that holds it; "
        f"found {listed(found) if found else 'nothing'}"
    )


def absent_files(paths: Iterable[str]) -> List[str]:
    """Those of the paths that are no files, in order. A folder is listed once instead of asking for each file."""
    listings: Dict[str, Set[str]] = {}
    absent = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in listings:
            listings[folder] = _names(folder)
        if name not in listings[folder]:
            absent.append(path)
    return absent


def _names(folder: str) -> Set[str]:
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except (OSError, ValueError):
        return set()


def check_images_exist(
    paths: Sequence[str], source: str, missing: str = "error"
) -> Set[str]:
    """Looks for images that an annotation file names and that are not there.

    Args:
        paths (Sequence[str]): The images.
        source (str): The annotation file, for the message.
        missing (str): ``"error"``, or ``"allow"`` to log them and go on. Default: ``"error"``

    Returns:
        Set[str]: The absent ones; empty unless they are allowed.

    Raises:
        ValueError: If ``missing`` is neither.
        DataError: If some are absent and that is not allowed, or all are.
    """
    if missing not in ("error", "allow"):
        raise ValueError(f"missing_images must be 'error' or 'allow', got {missing!r}")
    absent = absent_files(paths)
    if absent:
        message = f"{source}: {len(absent)} of {len(paths)} images are not there: {listed(absent)}"
        if len(absent) == len(paths):
            raise DataError(f"{message}. Put them in their place")
        if missing == "error":
            raise DataError(
                f"{message}. Put them in their place, or pass missing_images='allow' to go on without them"
            )
        logger.warning(message)
    return set(absent)
