# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
from typing import Any, List, Mapping, Optional, Set

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.fields import caption_list, whole_number
from torchmultimodal_reid.data.image_files import check_images_exist, find_annotations
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.text_file import kind_of, read_json_list
from torchmultimodal_reid.data.text_to_person import relative_path

FOLDER = "SYNTH-PEDES"
FILES = ("synthpedes-dataset.json", "synthpedes_dataset.json")


def synth_pedes(
    root: str,
    *,
    annotations: Optional[str] = None,
    prompt_captions: bool = True,
    missing_images: str = "error",
) -> ReIDSplit:
    """Reads SYNTH-PEDES (Zuo et al., PLIP, https://arxiv.org/abs/2305.08386): web images with generated captions.

    The layout is ``synthpedes-dataset.json`` beside ``Part1`` to ``Part11``. Each record of the file has ``id``,
    ``file_path``, ``captions``, ``prompt_caption`` (a caption made of the attributes) and ``attributes`` (a list of
    phrases divided by commas, ``unknown`` where there is none). It is for pretraining: query and gallery are empty. The
    data set tells no cameras: all are 0.

    Args:
        root (str): The folder of the annotation file, or one that holds ``SYNTH-PEDES``.
        annotations (Optional[str]): Another annotation file. Default: the one in the folder
        prompt_captions (bool): Whether captions made of the attributes are captions too. Default: ``True``
        missing_images (str): ``"error"`` or ``"allow"``. Default: ``"error"``

    Returns:
        ReIDSplit: Training images in the order of the file. ``attributes`` of an image is
            ``{"attributes": {"phrases": [...]}}`` where it has some.

    Raises:
        DataError: If files are missing, a record does not fit, or an image has two records.
    """
    if annotations is None:
        annotations = find_annotations(root, FOLDER, FILES)
        root = os.path.dirname(annotations)
    images: List[PersonImage] = []
    seen: Set[str] = set()
    records = read_json_list(annotations, "annotation file", "synth_pedes")
    for number, record in enumerate(records):
        where = f"{annotations}: record {number} (counted from 0)"
        image = _parse(record, root, prompt_captions, where)
        if image.path in seen:
            raise DataError(
                f"{where}: a second record for {image.path!r}; put all captions of an image into one record"
            )
        seen.add(image.path)
        images.append(image)
    if not images:
        raise DataError(f"{annotations}: the list of records is empty")
    absent = check_images_exist(
        [image.path for image in images], annotations, missing_images
    )
    train = tuple(image for image in images if image.path not in absent)
    return ReIDSplit("synth_pedes", root, train, (), ())


def _parse(record: Any, root: str, prompt_captions: bool, where: str) -> PersonImage:
    if not isinstance(record, dict):
        raise DataError(
            f"{where}: expected an object with 'id', 'file_path' and 'captions', got {kind_of(record)}"
        )
    path = relative_path(record.get("file_path"), "file_path", where)
    where = f"{where} for {path!r}"
    identity = whole_number(record.get("id"), "id", where)
    captions: List[str] = []
    for field in ("captions", "prompt_caption") if prompt_captions else ("captions",):
        # some images have only the one or the other
        if record.get(field) not in (None, []):
            captions += caption_list(record[field], field, where)
    if not captions:
        raise DataError(f"{where}: no caption; leave the record out")
    phrases = _phrases(record, where)
    attributes: Optional[Mapping[str, Any]] = None
    if phrases:
        attributes = {"attributes": {"phrases": phrases}}
    full = os.path.join(root, *path.split("/"))
    return PersonImage(full, identity, 0, tuple(captions), attributes)


def _phrases(record: Mapping[str, Any], where: str) -> List[str]:
    told = record.get("attributes")
    if told is None:
        return []
    if not isinstance(told, list) or any(not isinstance(line, str) for line in told):
        raise DataError(
            f"{where}: 'attributes' must be a list of text, got {kind_of(told)}"
        )
    phrases = (phrase.strip() for line in told for phrase in line.split(","))
    return [phrase for phrase in phrases if phrase and phrase != "unknown"]


INFO = DatasetInfo(
    name="synth_pedes",
    title="SYNTH-PEDES",
    reader=synth_pedes,
    paper="https://arxiv.org/abs/2305.08386",
    layout=(
        "`SYNTH-PEDES/synthpedes-dataset.json` (id, file_path, captions, prompt_caption, attributes), "
        "images below `Part1` to `Part11`"
    ),
    access="research only",
    source="https://github.com/Zplusdragon/PLIP",
    counts={
        "train": PartCounts(312321, 4791711, None, 12138157),
    },
    kind="text",
    note=(
        "training only; captions are generated, those of `prompt_caption` among them unless "
        "`prompt_captions=False`"
    ),
)
