# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import re
from typing import Collection, Dict, List, Optional, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.folders import finish_split, image_names, printable
from torchmultimodal_reid.data.half_splits import choose_split, of_identities
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.utils.seeding import derive_seed

EXAMPLE = "0001001.jpg"
NAME_PATTERN = re.compile(r"([0-9]{4})([0-9]{3})\.")
PLACES = (
    os.path.join("i-LIDS_Pedestrian", "Persons"),
    "Persons",
    "images",
)


def ilids(
    root: str,
    *,
    split: int = 0,
    split_seed: int = 0,
    train_identities: Optional[Collection[int]] = None,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads QMUL i-LIDS (Zheng et al., Associating Groups of People, BMVC 2009), which papers on domain generalisation
    test on: 119 people, 476 images. (``ilids_vid`` is another set.)

    ``Persons/0001001.jpg``: identity 1, image 1 of it. The names tell no camera. As peers do, the number of the image
    stands for it, so that evaluation drops none of a query's matches. The protocol is the average over 10 random
    splits, 59 people to train and 60 to test on; each of the 60 has one random image as query and another one as
    gallery. No file of the splits was published; they are drawn from a seed, see ``half_split``.

    Args:
        root (str): The folder of the images, or one that holds ``i-LIDS_Pedestrian/Persons``, ``Persons`` or
            ``images``.
        split (int): Which random split, usually 0 to 9. Default: 0
        split_seed (int): Seed of the splits and of the images to query. Default: 0
        train_identities (Optional[Collection[int]]): The identities to train on, instead of a random half.
        captions (Optional[str]): A captions file. Default: ``captions.json`` beside the images, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Identities are the numbers in the file names.

    Raises:
        DataError: If the root is missing or has no images, a name does not parse, a person has only one image, or the
            captions do not fit.
    """
    root, images = ilids_images(root)
    by_identity: Dict[int, List[PersonImage]] = {}
    for image in images:
        by_identity.setdefault(image.identity, []).append(image)
    single = [identity for identity, some in by_identity.items() if len(some) < 2]
    if single:
        raise DataError(
            f"{root}: only one image of identity {single[0]}; a query and a match need two"
        )
    chosen = choose_split(
        by_identity,
        split=split,
        split_seed=split_seed,
        train_identities=train_identities,
    )
    query, gallery = [], []
    for identity in chosen.test:
        key = ("ilids query", split_seed, split, identity)
        order = sorted(by_identity[identity], key=lambda i: derive_seed(*key, i.camera))
        query.append(order[0])
        gallery.append(order[1])
    train = of_identities(images, chosen.train)
    result = ReIDSplit("ilids", root, train, tuple(query), tuple(gallery))
    return finish_split(result, captions, missing_captions)


def ilids_images(root: str) -> Tuple[str, Tuple[PersonImage, ...]]:
    """All images of QMUL i-LIDS, for whoever draws the splits.

    Args:
        root (str): As in ``ilids``.

    Returns:
        Tuple[str, Tuple[PersonImage, ...]]: The folder of the images, and the images.
    """
    if not os.path.isdir(root):
        raise DataError(
            f"the data set's root {printable(root)!r} is not a folder; expected images such as {EXAMPLE} in it"
        )
    places = [os.path.join(root, place) for place in PLACES]
    root = next((place for place in places if os.path.isdir(place)), root)
    images: List[PersonImage] = []
    for name in image_names(root, expected=EXAMPLE):
        path = os.path.join(root, name)
        match = NAME_PATTERN.fullmatch(os.path.splitext(name)[0] + ".")
        if match is None or int(match[2]) == 0:
            raise DataError(
                f"{printable(path)}: the name must be four digits of the identity and three of the image (from 1), "
                f"such as {EXAMPLE}"
            )
        images.append(PersonImage(path, int(match[1]), int(match[2]) - 1))
    return root, tuple(images)


INFO = DatasetInfo(
    name="ilids",
    title="QMUL i-LIDS",
    reader=ilids,
    paper="https://doi.org/10.5244/C.23.23",
    layout="`i-LIDS_Pedestrian/Persons/0001001.jpg` (identity, number of its image)",
    access="terms on its page",
    source="http://www.eecs.qmul.ac.uk/~jason/data/i-LIDS_Pedestrian.tgz",
    counts={
        "train": PartCounts(59, None, None),
        "query": PartCounts(60, 60, None),
        "gallery": PartCounts(60, 60, None),
        "all": PartCounts(119, 476, None),
    },
    note="average of 10 random splits: `split` 0 to 9, `split_seed`",
)
