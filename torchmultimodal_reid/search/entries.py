# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import (
    Any,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
)

_SCHEMA = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL, identity INTEGER, camera INTEGER, caption TEXT, more TEXT NOT NULL
);
CREATE INDEX by_path ON entries (path);
CREATE TABLE counter (next_id INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""
_AT_ONCE = 500  # SQLite bounds the number of values in one statement


class GalleryEntry(NamedTuple):
    """What is known of a gallery image beside its vector."""

    path: str
    identity: Optional[int] = None
    camera: Optional[int] = None
    caption: Optional[str] = None
    more: Mapping[str, Any] = {}  # whatever JSON can hold


class EntryTable:
    """Gallery entries by id in SQLite. An id is never given a second time, also after its entry was removed.

    Args:
        path (Optional[Path]): A file of :meth:`save` to start from; it is read and not changed. Default: ``None``
    """

    def __init__(self, path: Optional[Path] = None) -> None:
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        if path is None:
            self._database.executescript(_SCHEMA)
            return
        with closing(sqlite3.connect(path)) as source:
            source.backup(self._database)

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM entries").fetchone()[0])

    def add(self, entries: Sequence[GalleryEntry]) -> List[int]:
        """Adds entries, and returns their ids in order."""
        with self._database as database:
            first = database.execute("SELECT next_id FROM counter").fetchone()[0]
            ids = list(range(first, first + len(entries)))
            database.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (number, *entry[:4], json.dumps(dict(entry.more)))
                    for number, entry in zip(ids, entries)
                ),
            )
            database.execute("UPDATE counter SET next_id = ?", (first + len(entries),))
        return ids

    def remove(self, ids: Iterable[int]) -> None:
        """Removes entries."""
        with self._database as database:
            database.executemany(
                "DELETE FROM entries WHERE id = ?", ((number,) for number in ids)
            )

    def get(self, ids: Sequence[int]) -> List[Optional[GalleryEntry]]:
        """The entries of ids, in their order; None where there is none."""
        found = {}
        for start in range(0, len(ids), _AT_ONCE):
            part = [int(number) for number in ids[start : start + _AT_ONCE]]
            marks = ", ".join("?" * len(part))
            rows = self._database.execute(
                f"SELECT * FROM entries WHERE id IN ({marks})", part
            )
            found.update({row[0]: _entry(row) for row in rows})
        return [found.get(int(number)) for number in ids]

    def find(self, path: str) -> List[int]:
        """The ids of a path."""
        rows = self._database.execute(
            "SELECT id FROM entries WHERE path = ? ORDER BY id", (path,)
        )
        return [row[0] for row in rows]

    def items(self) -> Iterator["tuple[int, GalleryEntry]"]:
        """Every id and entry, by id."""
        rows = self._database.execute("SELECT * FROM entries ORDER BY id").fetchall()
        return ((row[0], _entry(row)) for row in rows)

    def save(self, path: Path) -> None:
        """Writes a file of SQLite."""
        with closing(sqlite3.connect(path)) as target:
            self._database.backup(target)


def _entry(row: Sequence[Any]) -> GalleryEntry:
    path, identity, camera, caption, more = row[1:]
    return GalleryEntry(path, identity, camera, caption, json.loads(more))
