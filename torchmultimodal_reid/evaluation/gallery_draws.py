# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Single-gallery-shot: of each person, one random image is searched in."""

import os
from pathlib import PurePath
from typing import Dict, List, Sequence, Tuple

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.utils.seeding import derive_seed

# rises whenever the same seed would draw other galleries
RULE_VERSION = 1
RULE = f"one gallery image of each person from another camera, version {RULE_VERSION}"


def draw_galleries(
    split: ReIDSplit, count: int, seed: int = 0
) -> Tuple[ReIDSplit, ...]:
    """Galleries of one image of each person, for the queries of each camera, ``count`` times over.

    The queries of a camera are searched in one image of each person from the other cameras (CUHK03's classic protocol,
    Li et al., DeepReID, CVPR 2014, searches images of one camera in those of the other). The image is the one with the
    least ``derive_seed(seed, "single gallery", repetition, camera, name)``, a hash, so it is the same on every machine
    and with every release of torch.

    Args:
        split (ReIDSplit): Queries and gallery with all images that may be drawn.
        count (int): How many repetitions.
        seed (int): Another seed gives other galleries. Default: 0

    Returns:
        Tuple[ReIDSplit, ...]: The repetitions one after the other; within one, a split for each camera of the queries.

    Raises:
        DataError: If there are distractors or junk, of whom one image makes no sense, or a camera's queries would have
            an empty gallery.
    """
    nobody = next((image for image in split.gallery if image.identity <= 0), None)
    if nobody is not None:
        raise DataError(
            f"{nobody.path}: identity {nobody.identity} in the gallery of {split.name}; with one gallery image of each "
            "person, there can be no distractors"
        )
    draws = []
    for repetition in range(count):
        for camera in sorted({image.camera for image in split.query}):
            gallery = _draw(split, ("single gallery", repetition, camera), camera, seed)
            if not gallery:
                raise DataError(
                    f"{split.name}: no gallery image from another camera than camera {camera + 1}, whose queries would "
                    "be searched in it"
                )
            query = tuple(image for image in split.query if image.camera == camera)
            draws.append(split._replace(query=query, gallery=gallery))
    return tuple(draws)


def _draw(
    split: ReIDSplit, key: Sequence[object], camera: int, seed: int
) -> Tuple[PersonImage, ...]:
    people: Dict[int, List[PersonImage]] = {}
    for image in split.gallery:
        if image.camera != camera:
            people.setdefault(image.identity, []).append(image)

    def rank(image: PersonImage) -> Tuple[int, str]:
        name = PurePath(os.path.relpath(image.path, split.root)).as_posix()
        return derive_seed(seed, *key, name), name  # type: ignore[arg-type]

    return tuple(min(people[identity], key=rank) for identity in sorted(people))
