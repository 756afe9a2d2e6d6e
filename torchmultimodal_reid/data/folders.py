# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What the readers share: finding a data set's folder, listing its images, reading its lists of images."""

import os
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from torchmultimodal_reid.data.captions import join_captions, read_captions
from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.text_file import LineReader

EXTENSIONS = (".jpg", ".jpeg", ".png")


def printable(text: str) -> str:
    """A file name for a message, where bytes that are no text of the system's encoding would break the message."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def find_root(root: str, parts: Sequence[str], names: Sequence[str] = ()) -> str:
    """The folder that holds ``parts``: ``root`` itself or ``root/name`` for one of ``names``.

    Args:
        root (str): Where to look.
        parts (Sequence[str]): Folders or files that must all be there, relative to the folder.
        names (Sequence[str]): Folders below ``root`` to try: archives unpack to them. Default: none

    Returns:
        str: The folder.

    Raises:
        DataError: If the root is missing, none of the folders has any of the parts, or one has only some of them.
    """
    if not os.path.isdir(root):
        raise DataError(
            f"the data set's root {printable(root)!r} is not a folder; expected one that holds {', '.join(parts)}"
        )
    for folder in (root, *(os.path.join(root, name) for name in names)):
        missing = [p for p in parts if not os.path.exists(os.path.join(folder, p))]
        if not missing:
            return folder
        if len(missing) < len(parts):
            raise DataError(
                f"{folder}: {_kind(missing)}{', '.join(missing)} is missing; expected {', '.join(parts)}"
            )
    found = [printable(name) for name in sorted(os.listdir(root))]
    inside = f", or a folder {' or '.join(names)} that holds them" if names else ""
    raise DataError(
        f"{root}: expected the {_kind(parts, 's')}{', '.join(parts)}{inside}; found "
        f"{listed(found) if found else 'nothing'}"
    )


def _kind(names: Sequence[str], plural: str = "") -> str:
    files = any("." in name for name in names)
    return f"file{plural} " if files else f"folder{plural} "


def image_names(
    folder: str, extensions: Sequence[str] = EXTENSIONS, *, expected: str
) -> List[str]:
    """Names of the images in a folder, sorted. Hidden files and files of other kinds are no images of a data set.

    Args:
        folder (str): The folder, without those below it.
        extensions (Sequence[str]): In lower case. Default: jpg, jpeg and png
        expected (str): An example of a name, for the message.

    Raises:
        DataError: If the folder is missing or has no images.
    """
    try:
        found = os.listdir(folder)
    except OSError as error:
        raise DataError(
            f"{folder}: the folder cannot be read ({error.strerror}); expected images such as {expected} in it"
        ) from error
    names = sorted(
        name
        for name in found
        if name.lower().endswith(tuple(extensions)) and not name.startswith(".")
    )
    if not names:
        raise DataError(
            f"{folder}: no images; expected files such as {expected} ({', '.join(extensions)}), found {len(found)} "
            "other files"
        )
    return names


def walk_images(
    folder: str,
    extensions: Sequence[str] = EXTENSIONS,
    *,
    expected: str,
    leave_out: Callable[[str], bool] = lambda name: False,
) -> Iterator[str]:
    """Paths of the images in a folder and in all below it, sorted folder by folder, a folder at a time in memory.

    Args:
        folder (str): Where to begin. Links to folders are followed.
        extensions (Sequence[str]): In lower case. Default: jpg, jpeg and png
        expected (str): An example of a name, for the message.
        leave_out (Callable[[str], bool]): Tells by its name whether to leave a folder out. Default: none is

    Raises:
        DataError: If the folder is missing or there are no images.
    """
    if not os.path.isdir(folder):
        raise DataError(
            f"the data set's root {printable(folder)!r} is not a folder; expected images such as {expected} in it"
        )

    def fail(error: OSError) -> None:
        raise DataError(
            f"{error.filename}: the folder cannot be read ({error.strerror})"
        ) from error

    any_image = False
    for path, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        # os.walk goes on in this very list, in its order
        folders[:] = sorted(
            name for name in folders if not (name.startswith(".") or leave_out(name))
        )
        for name in sorted(names):
            if name.lower().endswith(tuple(extensions)) and not name.startswith("."):
                any_image = True
                yield os.path.join(path, name)
    if not any_image:
        raise DataError(
            f"{folder}: no images in it or below it; expected files such as {expected} ({', '.join(extensions)})"
        )


def read_lines(path: str, what: str) -> List[Tuple[int, str]]:
    """The lines of a list of images with their numbers from 1, without empty ones and without spaces at the ends.

    Args:
        path (str): The file, UTF-8.
        what (str): What a line should be, for the messages.

    Raises:
        DataError: If the file is missing, is not UTF-8 text, holds a zero byte, or has no lines.
    """
    with LineReader(path, f"list of {what}") as file:
        lines = [(number, line.strip()) for number, line in enumerate(file, start=1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise DataError(f"{path}: the list is empty; expected lines of {what}")
    return lines


class PresentFiles:
    """Tells whether files are there, by listing each folder once: lists name 100,000 files in a few hundred folders."""

    def __init__(self) -> None:
        self._names: Dict[str, Set[str]] = {}

    def __contains__(self, path: object) -> bool:
        folder, name = os.path.split(str(path))
        names = self._names.get(folder)
        if names is None:
            names = set(os.listdir(folder)) if os.path.isdir(folder) else set()
            self._names[folder] = names
        return name in names


def finish_split(
    split: ReIDSplit, captions: Optional[str], missing_captions: str
) -> ReIDSplit:
    """Joins captions to the images of all parts: the last step of every reader.

    Args:
        split (ReIDSplit): Without captions.
        captions (Optional[str]): A captions file, see ``read_captions``. If ``None``, ``captions.json`` in the split's
            root where it exists; otherwise the images have no captions.
        missing_captions (str): ``"error"`` or ``"allow"``, for images that the captions file leaves out.

    Raises:
        DataError: If the captions do not fit, see ``join_captions``.
    """
    if captions is None:
        default = os.path.join(split.root, "captions.json")
        if not os.path.isfile(default):
            return split
        captions = default
    first, second = len(split.train), len(split.train) + len(split.query)
    joined: Tuple[PersonImage, ...] = join_captions(
        split.train + split.query + split.gallery,
        read_captions(captions),
        split.root,
        missing_captions,
    )
    return split._replace(
        train=joined[:first], query=joined[first:second], gallery=joined[second:]
    )
