# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import codecs
import json
from types import TracebackType
from typing import Any, Dict, Iterator, List, Optional, Tuple, Type

from torchmultimodal_reid.data.errors import DataError


class LineReader:
    """The lines of a file of UTF-8 text, with or without a byte order mark, as a context manager.

    A line ends with a line feed and keeps it. What else Unicode calls a line's end may be part of a caption.

    Args:
        path (str): The file.
        what (str): What the file is, for errors, such as ``"captions file"``. Default: ``"file"``

    Raises:
        DataError: On entering or iterating, if the file cannot be read, is not UTF-8, or holds a zero byte. Names the
            file and the line.
    """

    def __init__(self, path: str, what: str = "file") -> None:
        self.path, self.what = path, what

    def __enter__(self) -> "LineReader":
        try:
            self._file = open(self.path, "rb")
        except (OSError, ValueError) as error:
            raise _unreadable(self.path, self.what, error) from error
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[str]:
        number = 0
        try:
            for number, line in enumerate(self._file, start=1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if b"\0" in line:
                    raise DataError(
                        f"{self.path}: line {number} holds a zero byte, which no text has; was it saved as UTF-16, or "
                        f"cut short? Save the {self.what} as UTF-8"
                    )
                yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.path}: not UTF-8 text (line {number}, byte {error.start}: {error.reason}); save the "
                f"{self.what} as UTF-8"
            ) from error
        except OSError as error:
            raise _unreadable(self.path, self.what, error) from error


def _unreadable(path: str, what: str, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or error
    return DataError(f"{path}: the {what} cannot be read ({reason})")


def _read_text(path: str, what: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text (byte {error.start}: {error.reason}); save the {what} as UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, what, error) from error


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
    text = _read_text(path, what)

    def unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DataError(
                f"{path}: an object has the key {shown(twice)} more than once ({shown(pairs)}); keep one of them"
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
    return names.get(type(value)) or shown(value)


def shown(value: Any, limit: int = 80) -> str:
    """A value for messages, its end cut off where it is long."""
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."
