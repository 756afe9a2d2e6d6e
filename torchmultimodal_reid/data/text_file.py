# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
from typing import Any, Dict, List, Tuple

from torchmultimodal_reid.data.errors import DataError


def read_text(path: str, what: str = "file") -> str:
    """Reads a whole file of UTF-8 text, with or without a byte order mark.

    Args:
        path (str): The file.
        what (str): What the file is, for errors, such as ``"captions file"``. Default: ``"file"``

    Returns:
        str: The text, its line ends as they are in the file.

    Raises:
        DataError: If the file cannot be read, is not UTF-8, or holds a zero byte. Names the file.
    """
    try:
        # newline="": a quoted caption keeps its own line ends
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text (byte {error.start}: {error.reason}); save the {what} as UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: the {what} cannot be read ({reason})") from error
    if "\0" in text:
        raise DataError(
            f"{path}: holds a zero byte (character {text.index(chr(0))}), which no text has; was it saved as UTF-16, "
            f"or cut short? Save the {what} as UTF-8"
        )
    return text


def read_json(path: str, what: str = "file") -> Any:
    """Reads JSON more strictly than ``json.load``: a key may come once in an object, and NaN is no number.

    Args:
        path (str): The file.
        what (str): What the file is, for errors. Default: ``"file"``

    Returns:
        Any: What the file holds.

    Raises:
        DataError: If the file cannot be read, is not UTF-8, is not JSON (names line and column), repeats a key in an
            object, or holds NaN or an infinity.
    """
    text = read_text(path, what)

    def unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DataError(
                f"{path}: an object has the key {_shown(twice)} more than once ({_shown(pairs)}); keep one of them"
            )
        return found

    def no_number(word: str) -> Any:
        raise DataError(f"{path}: broken JSON: {word} is not a number of JSON")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=no_number)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: broken JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: JSON that cannot be read: {error}") from error


def read_json_list(path: str, what: str, schema: str) -> List[Any]:
    """Reads JSON that has to be a list of records; ``schema`` says where the schema is described."""
    entries = read_json(path, what)
    if not isinstance(entries, list):
        raise DataError(
            f"{path}: expected a list of records, got {kind_of(entries)}; see {schema} for the schema"
        )
    return entries


def kind_of(value: Any) -> str:
    """What a value of JSON is, for messages: ``an object``, ``a list``, ``text``, ``null``, or the value itself."""
    names = {dict: "an object", list: "a list", str: "text", type(None): "null"}
    return names.get(type(value)) or _shown(value)


def _shown(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."
