# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo
from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.fields import (
    caption_text,
    image_path,
    one_of,
    whole_number,
)
from torchmultimodal_reid.data.image_files import check_images_exist
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.tables import read_table

COLUMNS = ("path", "identity", "camera", "split")
SPLITS = ("train", "query", "gallery", "test")


class _Entry(NamedTuple):
    identity: int
    camera: int
    captions: List[str]


def custom(
    root: str,
    *,
    table: Optional[str] = None,
    ignore_columns: Sequence[str] = (),
    missing_images: str = "error",
    name: str = "custom",
) -> ReIDSplit:
    """Reads any images by a table: a CSV or Parquet file with a row for each image, or for each of its captions.

    The columns are ``path`` (relative to the table's folder, or absolute), ``identity`` and ``camera`` (whole numbers
    from 0), ``split`` (``train``, ``query``, ``gallery``, or ``test`` for an image that is both query and gallery) and,
    where there are captions, ``caption`` (empty for an image without one). Rows of the same path and split are one
    image with several captions. Parquet needs pyarrow (``pip install 'torchmultimodal-reid[parquet]'``).

    An image query needs an image of the same person under another camera in the gallery: the usual protocol drops those
    of the query's own camera. ``python -m torchmultimodal_reid.data.inspect custom ROOT`` checks this and more.

    Args:
        root (str): The table, or the folder that holds it (and no other table).
        table (Optional[str]): Path of the table, where it is not in the root; paths are relative to the root then.
            Default: the one in the root
        ignore_columns (Sequence[str]): Further columns that are left alone. Default: none
        missing_images (str): ``"error"``, or ``"allow"`` to log and leave out images that are not there.
            Default: ``"error"``
        name (str): Name of the split. Default: ``"custom"``

    Returns:
        ReIDSplit: Images in the order of the table. Any part may be empty.

    Raises:
        DataError: If the table is missing, a row does not fit (names it), or images are missing.
    """
    if table is None:
        table = _find_table(root)
        root = root if os.path.isdir(root) else os.path.dirname(root)
    parts: Dict[str, Dict[str, _Entry]] = {split: {} for split in SPLITS}
    for where, row in read_table(table, COLUMNS, ("caption",), ignore_columns):
        _add(parts, row, where)
    paths = {path: os.path.join(root, path) for part in parts.values() for path in part}
    if not paths:
        raise DataError(f"{table}: the table has no rows")
    absent = check_images_exist(list(paths.values()), table, missing_images)
    images = {
        split: tuple(
            PersonImage(paths[path], entry[0], entry[1], tuple(entry.captions))
            for path, entry in part.items()
            if paths[path] not in absent
        )
        for split, part in parts.items()
    }
    test = images["test"]
    query, gallery = images["query"] + test, images["gallery"] + test
    return ReIDSplit(name, root or os.curdir, images["train"], query, gallery)


def _find_table(root: str) -> str:
    if os.path.isfile(root):
        return root
    if not os.path.isdir(root):
        raise DataError(
            f"{root!r} is not a folder that holds a table (.csv, .parquet), nor a table itself"
        )
    found = sorted(
        name
        for name in os.listdir(root)
        if name.lower().endswith((".csv", ".parquet", ".pq"))
    )
    if len(found) != 1:
        raise DataError(
            f"{root}: expected one table (.csv, .parquet), found {listed(found) if found else 'none'}; give the file "
            "itself"
        )
    return os.path.join(root, found[0])


def _add(
    parts: Mapping[str, Dict[str, _Entry]], row: Mapping[str, Any], where: str
) -> None:
    path = image_path(row["path"], "path", where)
    where = f"{where} for {path!r}"
    split = one_of(row["split"], SPLITS, "split", where)
    identity = whole_number(row["identity"], "identity", where)
    camera = whole_number(row["camera"], "camera", where)
    caption = row.get("caption")
    texts: Tuple[str, ...] = ()
    if caption is not None and caption != "":
        texts = (caption_text(caption, "'caption'", where),)
    earlier = _earlier(parts, path, split)
    if earlier is not None and earlier[:2] != (identity, camera):
        raise DataError(
            f"{where}: an earlier row says identity {earlier.identity} and camera {earlier.camera}, this one "
            f"{identity} and {camera}"
        )
    entry = parts[split].get(path)
    if entry is None:
        parts[split][path] = _Entry(identity, camera, list(texts))
    elif not texts or texts[0] in entry.captions:
        raise DataError(f"{where}: a second row that tells nothing new")
    else:
        entry.captions.extend(texts)


def _earlier(
    parts: Mapping[str, Dict[str, _Entry]], path: str, split: str
) -> Optional[_Entry]:
    for part in (split, *SPLITS):
        if path in parts[part]:
            return parts[part][path]
    return None


INFO = DatasetInfo(
    name="custom",
    title="Any images, by a table",
    reader=custom,
    paper="",
    layout=(
        "CSV or Parquet with path, identity, camera, split (train, query, gallery, test) and perhaps "
        "caption"
    ),
    access="your own",
    source="your own",
    counts={},
    kind="real",
    note="give query and gallery images of one person different cameras; `inspect` checks it",
)
