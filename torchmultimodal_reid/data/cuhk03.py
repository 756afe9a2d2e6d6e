# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import re
from typing import List, Optional, Tuple

from torchmultimodal_reid.data.cuhk03_mat import (
    extract_images,
    read_classic_test_set,
    read_new_protocol,
)
from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.folders import (
    find_root,
    finish_split,
    image_names,
    PresentFiles,
    printable,
)
from torchmultimodal_reid.data.market_layout import PARTS, read_market_layout
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

BOXES = ("detected", "labeled")
PROTOCOLS = ("new", "classic")
RELEASE = os.path.join("cuhk03_release", "cuhk-03.mat")
NAME_PATTERN = re.compile(r"([1-5])_([0-9]{3})_([12])_([0-9]{2})\.png")
PAIR = 10_000  # person 7 of pair 2 is identity 20007 in the classic protocol


def cuhk03(
    root: str,
    *,
    boxes: str = "detected",
    protocol: str = "new",
    split: int = 0,
    images_root: Optional[str] = None,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads CUHK03 (Li et al., DeepReID, CVPR 2014), by its new protocol (https://arxiv.org/abs/1701.08398) or the
    classic one.

    Two forms are read:

    - ``cuhk03-np/{detected,labeled}/{bounding_box_train,query,bounding_box_test}/0001_c1_1.png``: the new protocol in
      Market-1501's layout.
    - ``cuhk03_release/cuhk-03.mat``, which holds all images and the 20 classic splits, with
      ``cuhk03_new_protocol_config_{detected,labeled}.mat`` beside ``cuhk03_release`` for the new protocol. The images
      are extracted once, to ``images_detected`` or ``images_labeled`` (as ``1_001_1_01.png``: pair of cameras, person,
      camera, number). MATLAB's files need h5py and scipy.

    The paper counts five pairs of cameras. As peers do, the camera here is 0 or 1 within a pair: a person is in one
    pair only, so evaluation drops the same images either way.

    Classic: 20 splits, 100 people to test on, the others to train on. Query and gallery hold all images of these 100:
    the protocol is single-gallery-shot (one random gallery image of each person, repeated), which the evaluation draws;
    no mAP is defined.

    Args:
        root (str): The folder of either form, or one that holds ``cuhk03-np`` or ``cuhk03``.
        boxes (str): ``"detected"`` or ``"labeled"`` (drawn by hand). Default: ``"detected"``
        protocol (str): ``"new"`` (767 and 700 people) or ``"classic"``. Default: ``"new"``
        split (int): Which classic split, 0 to 19. Default: 0
        images_root (Optional[str]): Folder in which ``images_detected`` and ``images_labeled`` are or will be
            extracted. Default: the root
        captions (Optional[str]): A captions file. Default: ``captions.json`` in the split's root, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Called ``cuhk03_detected`` and so on. Identities are those of the new protocol's files; in the
        classic protocol, 10,000 times the pair plus the person.

    Raises:
        ValueError: If ``boxes`` or ``protocol`` is unknown.
        DataError: If neither form is there, a file is missing or broken or needs a library that is not installed, an
            image is missing, or the captions do not fit.
    """
    if boxes not in BOXES or protocol not in PROTOCOLS:
        raise ValueError(
            f"boxes must be one of {', '.join(BOXES)} and protocol one of {', '.join(PROTOCOLS)}, got {boxes!r} "
            f"and {protocol!r}"
        )
    name = f"cuhk03_{boxes}" if protocol == "new" else f"cuhk03_classic_{boxes}"
    folder = _np_folder(root, boxes)
    if folder is not None and protocol == "new":
        result = read_market_layout(name, folder, example="0001_c1_1.png")
        return finish_split(result, captions, missing_captions)

    root = _find_release(root, protocol)
    images = os.path.join(images_root or root, f"images_{boxes}")
    if not os.path.isdir(images):
        extract_images(os.path.join(root, RELEASE), boxes, images)
    if protocol == "new":
        config = os.path.join(root, f"cuhk03_new_protocol_config_{boxes}.mat")
        parts = _new_protocol(config, images)
    else:
        parts = _classic_protocol(os.path.join(root, RELEASE), images, split)
    train, query, gallery = parts
    result = ReIDSplit(name, images, train, query, gallery)
    return finish_split(result, captions, missing_captions)


def _np_folder(root: str, boxes: str) -> Optional[str]:
    for place in (root, os.path.join(root, "cuhk03-np")):
        for folder in (os.path.join(place, boxes), place):
            if any(os.path.isdir(os.path.join(folder, part)) for part in PARTS):
                other = BOXES[1 - BOXES.index(boxes)]
                if os.path.basename(os.path.abspath(folder)) == other:
                    raise DataError(
                        f"{folder}: the folder of the {other} images, but boxes={boxes!r}; give the folder above it, "
                        f"or boxes={other!r}"
                    )
                return folder
    return None


def _find_release(root: str, protocol: str) -> str:
    if os.path.isdir(root) and protocol == "classic":
        if not any(
            os.path.isfile(os.path.join(place, RELEASE))
            for place in (root, os.path.join(root, "cuhk03"))
        ):
            raise DataError(
                f"{root}: the classic protocol is in {RELEASE}, which is missing"
            )
    return find_root(root, (RELEASE,), ("cuhk03",))


def _new_protocol(config: str, images: str) -> Tuple[Tuple[PersonImage, ...], ...]:
    names, identities, parts = read_new_protocol(config)
    present = PresentFiles()
    read = []
    for positions in parts:
        some: List[PersonImage] = []
        for position in positions:
            path = os.path.join(images, names[position])
            match = NAME_PATTERN.fullmatch(names[position])
            if match is None:
                raise DataError(
                    f"{config}: name {position + 1} of filelist is {names[position]!r}; expected one such as "
                    "1_001_1_01.png"
                )
            if path not in present:
                raise DataError(
                    f"{config}: name {position + 1} of filelist, {names[position]!r}, is not in {images}; delete that "
                    "folder to have it extracted again"
                )
            some.append(PersonImage(path, identities[position], int(match[3]) - 1))
        read.append(tuple(some))
    return tuple(read)


def _classic_protocol(
    release: str, images: str, split: int
) -> Tuple[Tuple[PersonImage, ...], ...]:
    test_set = read_classic_test_set(release, split)
    train: List[PersonImage] = []
    test: List[PersonImage] = []
    for name in image_names(images, expected="1_001_1_01.png"):
        path = os.path.join(images, name)
        match = NAME_PATTERN.fullmatch(name)
        if match is None:
            raise DataError(
                f"{printable(path)}: expected a name such as 1_001_1_01.png: pair of cameras, person, camera, number"
            )
        person = (int(match[1]), int(match[2]))
        image = PersonImage(path, person[0] * PAIR + person[1], int(match[3]) - 1)
        (test if person in test_set else train).append(image)
    found = {(image.identity // PAIR, image.identity % PAIR) for image in test}
    missing = [str(person) for person in sorted(test_set - found)]
    if missing or not train:
        raise DataError(
            f"{release}: split {split} tests on people (pair, person) without an image in {images}: "
            f"{listed(missing) if missing else 'nobody is left to train on'}"
        )
    return tuple(train), tuple(test), tuple(test)


INFO = DatasetInfo(
    name="cuhk03",
    title="CUHK03 (new protocol, detected)",
    reader=cuhk03,
    paper="https://arxiv.org/abs/1701.08398",
    layout="`cuhk03-np/{detected,labeled}/` as Market-1501; or `cuhk03_release/cuhk-03.mat` and "
    "`cuhk03_new_protocol_config_{detected,labeled}.mat`",
    access="terms on its page",
    source="https://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html; new protocol: "
    "https://github.com/zhunzhong07/person-re-ranking",
    counts={
        "train": PartCounts(767, 7365, 2),
        "query": PartCounts(700, 1400, 2),
        "gallery": PartCounts(700, 5332, 2),
    },
    note='labeled (`boxes="labeled"`): 7,368 / 1,400 / 5,328; the classic protocol is `cuhk03_classic`; '
    "MATLAB's files need h5py and scipy",
)
