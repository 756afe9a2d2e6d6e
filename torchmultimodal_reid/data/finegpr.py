# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import csv
from typing import Any, Collection, Dict, List, Mapping, Optional

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.finegpr_names import (
    ATTRIBUTES,
    EXAMPLE,
    parse_finegpr_name,
)
from torchmultimodal_reid.data.folders import finish_split, read_lines, walk_images
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit


def finegpr(
    root: str,
    *,
    viewpoints: Optional[Collection[int]] = None,
    weathers: Optional[Collection[int]] = None,
    illuminations: Optional[Collection[int]] = None,
    conditions: bool = False,
    attributes: Optional[str] = None,
    columns: Optional[Mapping[str, str]] = None,
    identity_column: str = "id",
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads FineGPR (Xiang et al., https://arxiv.org/abs/2109.10498), rendered people, for training only.

    ``FineGPR/0001/0001_c01_w01_l01_p01.jpg`` or, in the subset, ``FineGPR_subset/0001_c01_w03_l05_p03.jpg``: identity,
    viewpoint (which stands for the camera), weather, illumination, background; see ``FineGPRName``. The identity and
    the path take about 250 bytes an image in memory, all 2,028,600 images 0.5 GB; read a part of them, or stream them.

    Args:
        root (str): The folder of the images, at any depth.
        viewpoints (Optional[Collection[int]]): Read these viewpoints (1 to 36) only. Default: all
        weathers (Optional[Collection[int]]): Read these weathers (1 to 7) only. Default: all
        illuminations (Optional[Collection[int]]): Read these illuminations (1 to 7) only. Default: all
        conditions (bool): Whether the images' attributes tell viewpoint, weather, illumination and scene too. Costs
            another 400 bytes an image; ``parse_finegpr_name`` tells the same of any path. Default: ``False``
        attributes (Optional[str]): A CSV file of the people's attributes, with a header and a line a person. The form
            in which the authors publish them could not be verified, so its columns can be named. Values are words, or
            codes from 1 in the order of ``finegpr_names.ATTRIBUTES``. Default: none
        columns (Optional[Mapping[str, str]]): Column of each attribute, by the names in ``finegpr_names.ATTRIBUTES``.
            Default: columns of the same names
        identity_column (str): Column of the identity. Default: ``"id"``
        captions (Optional[str]): A captions file. Default: ``captions.json`` in the root, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: ``query`` and ``gallery`` are empty. Where attributes or conditions are asked for, the images'
        ``attributes`` are ``{"attributes": {...}}``.

    Raises:
        DataError: If the root is missing or has no images (of these conditions), a name does not parse, the attributes
            file is missing or broken or leaves out a person, or the captions do not fit.
    """
    people = None
    if attributes is not None:
        people = read_finegpr_attributes(attributes, columns, identity_column)
    wanted = (viewpoints, weathers, illuminations)
    train: List[PersonImage] = []
    for path in walk_images(root, expected=EXAMPLE):
        name = parse_finegpr_name(path)
        if any(w is not None and n not in w for n, w in zip(name[1:4], wanted)):
            continue
        told: Optional[Mapping[str, Any]] = None
        if people is not None:
            told = people.get(name.identity)
            if told is None:
                raise DataError(
                    f"{attributes}: no line for identity {name.identity}, of whom there is {path}"
                )
        if conditions:
            person = told["attributes"] if told else {}
            told = {"attributes": {**person, **name.conditions()}}
        train.append(PersonImage(path, name.identity, name.viewpoint - 1, (), told))
    if not train:
        raise DataError(
            f"{root}: no images of these viewpoints, weathers and illuminations: {wanted}"
        )
    split = ReIDSplit("finegpr", root, tuple(train), (), ())
    return finish_split(split, captions, missing_captions)


def read_finegpr_attributes(
    path: str,
    columns: Optional[Mapping[str, str]] = None,
    identity_column: str = "id",
) -> Dict[int, Mapping[str, Any]]:
    """Reads a CSV file of people's attributes; see ``finegpr`` for its form.

    Args:
        path (str): The file.
        columns (Optional[Mapping[str, str]]): Column of each attribute to read. Default: all that are in the header
            under the names of ``finegpr_names.ATTRIBUTES``
        identity_column (str): Column of the identity. Default: ``"id"``

    Returns:
        Dict[int, Mapping[str, Any]]: By identity, ``{"attributes": {name: word}}``, one object a person, which all
        images of the person share.

    Raises:
        ValueError: If ``columns`` names an attribute that FineGPR does not have.
        DataError: If the file is missing or broken, a column is missing, or a value is unknown.
    """
    unknown = sorted(set(columns or ()) - set(ATTRIBUTES))
    if unknown:
        raise ValueError(
            f"FineGPR has no attribute {', '.join(unknown)}; expected some of {', '.join(ATTRIBUTES)}"
        )
    lines = read_lines(path, "a person's attributes, separated by commas")
    rows = [
        (number, [cell.strip() for cell in row])
        for number, line in lines
        for row in csv.reader([line])
    ]
    header = rows[0][1]
    if columns is None:
        columns = {name: name for name in ATTRIBUTES if name in header}
    missing = [c for c in (identity_column, *columns.values()) if c not in header]
    if missing or not columns:
        raise DataError(
            f"{path}: line {rows[0][0]}: no column {', '.join(missing) or 'of an attribute'}; found {listed(header)}. "
            "Name the columns with columns and identity_column"
        )
    people: Dict[int, Mapping[str, Any]] = {}
    for number, row in rows[1:]:
        where = f"{path}: line {number}"
        if len(row) != len(header):
            raise DataError(
                f"{where}: {len(row)} values, expected {len(header)} as in the header"
            )
        values = dict(zip(header, row))
        key = values[identity_column]
        if not (key.isascii() and key.isdecimal()):
            raise DataError(f"{where}: identity {key!r}; expected a number")
        if int(key) in people:
            raise DataError(f"{where}: a second line for identity {int(key)}")
        told = {name: _word(name, values[columns[name]], where) for name in columns}
        people[int(key)] = {"attributes": told}
    return people


def _word(attribute: str, value: str, where: str) -> str:
    words = ATTRIBUTES[attribute]
    if value.lower() in words:
        return value.lower()
    if value.isascii() and value.isdecimal() and 1 <= int(value) <= len(words):
        return words[int(value) - 1]
    raise DataError(
        f"{where}: {attribute} is {value!r}; expected 1 to {len(words)} or one of {', '.join(words)}"
    )


INFO = DatasetInfo(
    name="finegpr",
    title="FineGPR",
    reader=finegpr,
    paper="https://arxiv.org/abs/2109.10498",
    layout=f"`FineGPR/0001/{EXAMPLE}` (identity, viewpoint, weather, illumination, background), or flat; attributes in "
    "a CSV file",
    access="GPL-3.0 (its repository)",
    source="https://github.com/JeremyXSC/FineGPR",
    counts={"train": PartCounts(1150, 2028600, 36)},
    kind="synthetic",
    note="training only; `viewpoints`, `weathers`, `illuminations` read a part; `FineGPR_subset` has 4 images a person",
)
