# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Rows of CSV and Parquet files with known columns, one at a time: memory does not grow with the file."""

import csv
from typing import Any, Dict, Iterator, Sequence, Tuple

from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.text_file import LineReader

Row = Tuple[str, Dict[str, Any]]


def read_table(
    path: str,
    required: Sequence[str],
    optional: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Iterator[Row]:
    """Reads a table, ``.csv`` or ``.parquet`` by its name.

    CSV is UTF-8 with commas, quotes as in RFC 4180, and the columns' names in the first line. Its values are text.
    Parquet needs pyarrow. Its values are of the column's type, ``None`` where there is none.

    Args:
        path (str): The file.
        required (Sequence[str]): Columns that have to be there.
        optional (Sequence[str]): Columns that may be there. Default: none
        ignore (Sequence[str]): Further columns that are left alone; any other is an error, as it may be misspelt.
            Default: none

    Returns:
        Iterator[Row]: For each row, where it is (for messages), and its values by column.

    Raises:
        DataError: If the file cannot be read, is neither, has other columns, or a row does not fit (names it).
    """
    lower = path.lower()
    if lower.endswith(".csv"):
        return _read_csv(path, required, optional, ignore)
    if lower.endswith((".parquet", ".pq")):
        return _read_parquet(path, required, optional, ignore)
    raise DataError(f"{path}: expected a file that ends in .csv or .parquet")


def _check_columns(
    path: str,
    columns: Sequence[str],
    required: Sequence[str],
    optional: Sequence[str],
    ignore: Sequence[str],
) -> None:
    expected = ", ".join(required) + (
        f" and perhaps {', '.join(optional)}" if optional else ""
    )
    twice = [name for name in columns if columns.count(name) > 1]
    missing = [name for name in required if name not in columns]
    unknown = [name for name in columns if name not in (*required, *optional, *ignore)]
    if twice:
        raise DataError(f"{path}: the column {twice[0]!r} is there twice")
    if missing:
        raise DataError(
            f"{path}: expected the columns {expected}, got {listed([repr(name) for name in columns], 8)}"
        )
    if unknown:
        raise DataError(
            f"{path}: unknown columns {listed([repr(name) for name in unknown])}; expected {expected}. Take them out, "
            "or name them in ignore_columns"
        )


def _read_csv(
    path: str, required: Sequence[str], optional: Sequence[str], ignore: Sequence[str]
) -> Iterator[Row]:
    with LineReader(path, "table") as lines:
        reader = csv.reader(lines, strict=True)
        columns: Sequence[str] = ()
        start = 1
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise DataError(f"{path}: line {start}: broken CSV: {error}") from error
            if fields is None:
                break
            where = f"{path}: line {start}"
            start = reader.line_num + 1
            if not columns:
                columns = fields
                _check_columns(path, columns, required, optional, ignore)
                continue
            if len(fields) != len(columns):
                raise DataError(
                    f"{where}: expected {len(columns)} values ({', '.join(columns)}), got {len(fields)}; put a value "
                    "that holds a comma into quotes"
                )
            yield where, dict(zip(columns, fields))
    if not columns:
        raise DataError(
            f"{path}: the file is empty; expected a first line with the columns {', '.join(required)}"
        )


def _read_parquet(
    path: str, required: Sequence[str], optional: Sequence[str], ignore: Sequence[str]
) -> Iterator[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            f"{path}: reading Parquet needs pyarrow: pip install 'torchmultimodal-reid[parquet]', "
            "or save the table as CSV"
        ) from error
    damaged = (pyarrow.ArrowException, OSError, ValueError, OverflowError)
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = list(file.schema_arrow.names)
            _check_columns(path, columns, required, optional, ignore)
            wanted = [name for name in columns if name not in ignore]
            for batch in file.iter_batches(batch_size=4096, columns=wanted):
                for row in batch.to_pylist():
                    yield f"{path}: row {number} (counted from 0)", row
                    number += 1
    except DataError:
        raise
    except damaged as error:
        raise DataError(
            f"{path}: not a Parquet file that can be read, it is cut short, damaged or of an unknown kind ({error})"
        ) from error
