# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import re
from typing import Collection, Optional, Tuple

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.folders import find_root, finish_split
from torchmultimodal_reid.data.half_splits import choose_split
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.two_cameras import (
    CAMERAS,
    in_both_cameras,
    read_camera_folders,
    search_across_cameras,
)

EXAMPLE = "000_45.bmp"
EXTENSIONS = (".bmp", ".png", ".jpg")
NAME_PATTERN = re.compile(r"([0-9]+)_([0-9]+)\.")


def viper(
    root: str,
    *,
    split: int = 0,
    split_seed: int = 0,
    train_identities: Optional[Collection[int]] = None,
    query_camera: int = 0,
    captions: Optional[str] = None,
    missing_captions: str = "error",
) -> ReIDSplit:
    """Reads VIPeR (Gray et al., Evaluating appearance models for recognition, reacquisition, and tracking, PETS 2007).

    632 people, one image of each from ``cam_a`` and one from ``cam_b``, named ``000_45.bmp``: identity and angle. The
    protocol is the average over 10 random halves, 316 people to train and 316 to test on. There is no published file
    of them (peers draw their own, unseeded), so they are drawn here from a seed, see ``half_split``.

    Args:
        root (str): The folder that holds ``cam_a`` and ``cam_b``, or one that holds ``VIPeR``.
        split (int): Which random half, usually 0 to 9. Default: 0
        split_seed (int): Seed of the halves. Default: 0
        train_identities (Optional[Collection[int]]): The identities to train on, instead of a random half.
        query_camera (int): 0 to search from ``cam_a`` in ``cam_b``, 1 the other way round. Default: 0
        captions (Optional[str]): A captions file. Default: ``captions.json`` in the root, where it exists
        missing_captions (str): ``"error"`` or ``"allow"``, for images without captions. Default: ``"error"``

    Returns:
        ReIDSplit: Identities are the numbers in the file names, which are not contiguous.

    Raises:
        ValueError: If ``query_camera`` is neither 0 nor 1.
        DataError: If a folder is missing or has no images, a name does not parse, a person is missing from a camera,
            or the captions do not fit.
    """
    if query_camera not in (0, 1):
        raise ValueError(
            f"query_camera must be 0 (cam_a) or 1 (cam_b), got {query_camera!r}"
        )
    root, images = viper_images(root)
    chosen = choose_split(
        in_both_cameras(images, root),
        split=split,
        split_seed=split_seed,
        train_identities=train_identities,
    )
    result = search_across_cameras("viper", root, images, chosen, query_camera)
    return finish_split(result, captions, missing_captions)


def viper_images(root: str) -> Tuple[str, Tuple[PersonImage, ...]]:
    """All images of VIPeR, for whoever draws the splits.

    Args:
        root (str): As in ``viper``.

    Returns:
        Tuple[str, Tuple[PersonImage, ...]]: The folder of ``cam_a`` and ``cam_b``, and the images of both.
    """
    root = find_root(root, CAMERAS, ("VIPeR",))
    expected = f"identity and angle; expected one such as {EXAMPLE}"
    return root, read_camera_folders(root, NAME_PATTERN, expected, EXTENSIONS)


INFO = DatasetInfo(
    name="viper",
    title="VIPeR",
    reader=viper,
    paper="https://vision.soe.ucsc.edu/node/178",
    layout="`VIPeR/{cam_a,cam_b}/000_45.bmp` (identity, angle)",
    access="terms on its page",
    source="http://users.soe.ucsc.edu/~manduchi/VIPeR.v1.0.zip",
    counts={
        "train": PartCounts(316, 632, 2),
        "query": PartCounts(316, 316, 1),
        "gallery": PartCounts(316, 316, 1),
    },
    note="average of 10 random halves: `split` 0 to 9, `split_seed`",
)
