# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import torch
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.shards.catalogue import CatalogueWriter
from torchmultimodal_reid.data.shards.extra import webdataset
from torchmultimodal_reid.data.shards.hashing import HashingFile
from torchmultimodal_reid.data.shards.index import (
    FILE,
    identity_ranges,
    index_text,
    read_index,
    Shard,
    ShardIndex,
    ShardPart,
)
from torchmultimodal_reid.utils.atomic import replace_directory
from torchmultimodal_reid.utils.seeding import generator_for
from tqdm import tqdm

PARTS = ("train", "query", "gallery")
# a shard ends here even if it could have more samples: a reader keeps some shards in memory
_LARGEST = 256 * 2**20
_HEADERS = 4096  # bytes of a sample beside its image


def write_shards(
    split: ReIDSplit,
    out: str,
    *,
    shard_size: int = 1000,
    parts: Sequence[str] = PARTS,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = False,
) -> ShardIndex:
    """Writes a data set as tar shards with an index, table and records. The same arguments give the same bytes.

    A sample is the image's own bytes (``000000042.jpg``, 42 being its position in the part) and ``000000042.json`` with
    identity, camera, captions, attributes and path. Training images are written in a shuffled order, so that a few
    neighbouring shards are a fair sample of all. Parts of the same images, as text-to-person sets have them, are
    written once. Nothing appears under ``out`` before all of it is written.

    Args:
        split (ReIDSplit): What a reader returned.
        out (str): The folder; new, empty, or holding shards if ``overwrite``.
        shard_size (int): Samples in a shard. Default: 1000
        parts (Sequence[str]): Parts to write; empty ones are left out. Default: all
        seed (int): Seed of the training images' order. Default: 0
        overwrite (bool): Whether shards in ``out`` may be replaced. Default: ``False``
        progress (bool): Whether to show a progress bar. Default: ``False``

    Returns:
        ShardIndex: What was written.

    Raises:
        ValueError: If ``shard_size`` or ``parts`` is invalid, or the disk has too little room.
        DataError: If ``out`` holds something else, there are no images, or an image cannot be read.
    """
    if shard_size < 1:
        raise ValueError(f"shard_size must be at least 1, got {shard_size}")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise ValueError(f"parts are {', '.join(PARTS)}, got {', '.join(unknown)}")
    images = {part: getattr(split, part) for part in parts if getattr(split, part)}
    if not images:
        raise DataError(f"{split.name} has no images in {', '.join(parts)}")
    _check_out(out, overwrite)
    tars = webdataset()
    size = sum(_size(image) for part in images.values() for image in part)
    total = sum(len(part) for part in images.values())
    written: Dict[str, ShardPart] = {}
    with (
        replace_directory(Path(out), size) as folder,
        tqdm(total=total, desc="shards", unit="image", disable=not progress) as bar,
    ):
        for name, part in images.items():
            if name == "gallery" and "query" in written and part == split.query:
                written[name] = written["query"]
                bar.update(len(part))
                continue
            order: List[int] = list(range(len(part)))
            if name == "train":
                generator = generator_for(seed, "order of shards")
                order = torch.randperm(len(part), generator=generator).tolist()
            written[name] = _write_part(
                tars, folder, name, part, order, shard_size, bar
            )
        index = ShardIndex(split.name, written)
        (folder / FILE).write_text(index_text(index), encoding="utf-8")
    return index


def _check_out(out: str, overwrite: bool) -> None:
    if not os.path.exists(out) or (os.path.isdir(out) and not os.listdir(out)):
        return
    try:
        read_index(out)
    except DataError:
        raise DataError(
            f"{out} is there and does not hold shards; name a new or empty folder"
        ) from None
    if not overwrite:
        raise DataError(f"{out} holds shards already; pass overwrite to replace them")


def _size(image: PersonImage) -> int:
    try:
        return os.path.getsize(image.path) + _HEADERS
    except OSError as error:
        raise _unreadable(image, error) from error


def _unreadable(image: PersonImage, error: OSError) -> DataError:
    return DataError(f"{image.path}: the image cannot be read ({error.strerror})")


def _write_part(
    tars: Any,
    folder: Path,
    name: str,
    images: Sequence[PersonImage],
    order: Sequence[int],
    shard_size: int,
    bar: Any,
) -> ShardPart:
    shards: List[Shard] = []
    with closing(CatalogueWriter(folder, name)) as catalogue:
        for shard in _write_tars(tars, folder, name, images, order, shard_size, bar):
            catalogue.add(shard.file)
            shards.append(shard)
    captions = [len(image.captions) for image in images]
    return ShardPart(
        len(images),
        sum(captions),
        min(captions) > 0,
        identity_ranges(image.identity for image in images),
        tuple(shards),
        *catalogue.files(),
    )


def _write_tars(
    tars: Any,
    folder: Path,
    name: str,
    images: Sequence[PersonImage],
    order: Sequence[int],
    shard_size: int,
    bar: Any,
) -> Iterator[Shard]:
    position, number = 0, 0
    while position < len(order):
        file = f"{name}-{number:06d}.tar"
        count = 0
        with closing(HashingFile(folder / file)) as target:
            writer = tars.TarWriter(target, user="", group="", mtime=0.0, encoder=False)
            while count < shard_size and position < len(order):
                if count and target.num_bytes >= _LARGEST:
                    break
                index = order[position]
                writer.write(_sample(images[index], index))
                position, count = position + 1, count + 1
                bar.update(1)
            writer.close()
        yield Shard(file, count, target.num_bytes, target.sha256)
        number += 1


def _sample(image: PersonImage, index: int) -> Dict[str, Any]:
    try:
        with open(image.path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise _unreadable(image, error) from error
    extension = os.path.splitext(image.path)[1].lower().lstrip(".")
    record: Dict[str, Any] = {**image._asdict(), "index": index}
    attributes: Optional[Tuple[Any, ...]] = record["attributes"]
    if attributes is None:
        del record["attributes"]
    text = json.dumps(record, ensure_ascii=True, sort_keys=True)
    return {
        "__key__": f"{index:09d}",
        extension if extension not in ("", "json") else "img": data,
        "json": text.encode("ascii"),
    }
