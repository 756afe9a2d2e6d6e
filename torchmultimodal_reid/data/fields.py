# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Checks of single values of an annotation file. Each error begins with ``where``: the file and the record or line."""

import re
from typing import Any, List, Tuple

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.text_file import kind_of

# what fits a long tensor
LARGEST = 2**63 - 1
_LONGEST_PATH = 1024
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def whole_number(value: Any, name: str, where: str) -> int:
    """An identity or a camera: a whole number from 0, also where the file has it as text such as ``"7"``.

    Raises:
        DataError: If it is anything else, negative, or does not fit 64 bits.
    """
    number = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value.strip()):
        number = int(value)
    if number is None or not 0 <= number <= LARGEST:
        raise DataError(
            f"{where}: {name!r} must be a whole number from 0 to 2**63 - 1, got {_short(value)}"
        )
    return number


def image_path(value: Any, name: str, where: str) -> str:
    """The path of an image, with forward slashes.

    Raises:
        DataError: If it is no text, is blank, is too long, or holds characters that no path can have.
    """
    if not isinstance(value, str) or not value.strip():
        raise DataError(
            f"{where}: {name!r} must be the image's path as text, got {_short(value)}"
        )
    if "\0" in value or _SURROGATE.search(value):
        raise DataError(
            f"{where}: {name!r} holds a character that no path can have: {_short(value)}"
        )
    if len(value) > _LONGEST_PATH:
        raise DataError(
            f"{where}: {name!r} is longer than a path can be ({len(value)} characters): {_short(value)}"
        )
    return value.replace("\\", "/")


def caption_text(value: Any, name: str, where: str) -> str:
    """One caption.

    Raises:
        DataError: If it is no text, is blank, or holds half of a character.
    """
    if not isinstance(value, str):
        raise DataError(f"{where}: {name} must be text, got {kind_of(value)}")
    if not value.strip():
        raise DataError(f"{where}: {name} is empty; write it or leave it out")
    if _SURROGATE.search(value):
        raise DataError(
            f"{where}: {name} holds half of a character (a lone surrogate): {_short(value)}"
        )
    return value


def caption_list(value: Any, name: str, where: str) -> Tuple[str, ...]:
    """The captions of one image.

    Raises:
        DataError: If it is not a list of at least one caption.
    """
    if not isinstance(value, list) or not value:
        raise DataError(
            f"{where}: {name!r} must be a list of at least one caption, got {_short(value)}; leave the record out if "
            "the image has none"
        )
    captions: List[str] = []
    for position, caption in enumerate(value):
        captions.append(caption_text(caption, f"caption {position}", where))
    return tuple(captions)


def one_of(value: Any, choices: Tuple[str, ...], name: str, where: str) -> str:
    """A word out of a few.

    Raises:
        DataError: If it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise DataError(
            f"{where}: {name!r} must be one of {', '.join(choices)}, got {_short(value)}"
        )
    return value


def _short(value: Any, limit: int = 100) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."
