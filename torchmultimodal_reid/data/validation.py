# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from collections import defaultdict
from typing import DefaultDict, Dict, List, NamedTuple, Sequence, Set, Tuple

import torch
from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.utils.seeding import generator_for


def split_validation(
    images: Sequence[PersonImage], share: float, seed: int, camera_filter: bool = True
) -> ReIDSplit:
    """Cuts a validation split from training images, by identity, so that no model is chosen on the test set.

    The gallery holds every image of the held-out identities. The queries are one image of each identity and camera
    that has a match under another camera; they stay in the gallery too, where the filter that drops images of the
    query's own identity and camera drops them, and where a text query should find them. Text queries are the
    captions of the query images (``expand_captions(split.query)``).

    Args:
        images (Sequence[PersonImage]): Training images.
        share (float): Share of the identities to hold out, between 0 and 1. At least one identity is held out and
            at least one is left to train on.
        seed (int): Decides which identities, and which image of each camera is the query.
        camera_filter (bool): Whether matches of the query's own camera are dropped. If not, as for captions of images
            without cameras, every image of the held-out identities is a query. Default: ``True``

    Returns:
        ReIDSplit: ``train`` without the held-out identities, ``query`` and ``gallery`` of them, in the given order.

    Raises:
        ValueError: If ``share`` is not between 0 and 1.
        DataError: If there are fewer than 2 identities, or none of the held-out ones was seen by two cameras.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1 (both excluded), got {share}")
    identities = sorted({image.identity for image in images})
    if len(identities) < 2:
        raise DataError(
            f"a validation split is cut by identity and needs at least 2, got {len(identities)} in {len(images)} images"
        )
    num_held_out = min(max(1, round(share * len(identities))), len(identities) - 1)
    order = torch.randperm(
        len(identities), generator=generator_for(seed, "validation identities")
    )
    held_out = {identities[i] for i in order[:num_held_out].tolist()}

    train = tuple(image for image in images if image.identity not in held_out)
    gallery = tuple(image for image in images if image.identity in held_out)
    query = _one_per_camera(gallery, seed) if camera_filter else gallery
    if not query:
        raise DataError(
            f"none of the {num_held_out} identities held out for validation was seen by two cameras, so no query has "
            f"a match under another camera; hold out a larger share than {share} or give images of more cameras"
        )
    return ReIDSplit("validation", "", train, query, gallery)


def _one_per_camera(
    images: Sequence[PersonImage], seed: int
) -> Tuple[PersonImage, ...]:
    """One image of each identity and camera, for identities that more than one camera saw."""
    views: DefaultDict[Tuple[int, int], List[int]] = defaultdict(list)
    cameras: DefaultDict[int, Set[int]] = defaultdict(set)
    for index, image in enumerate(images):
        views[image.identity, image.camera].append(index)
        cameras[image.identity].add(image.camera)

    chosen = []
    for (identity, camera), indices in views.items():
        if len(cameras[identity]) > 1:
            generator = generator_for(seed, "validation query", identity, camera)
            pick = torch.randint(len(indices), (1,), generator=generator)
            chosen.append(indices[int(pick)])
    return tuple(images[index] for index in sorted(chosen))


class SplitReport(NamedTuple):
    """Counts of a split, as ``check_split`` finds them.

    Args:
        num_queries (int): Number of queries.
        queries_without_match (Tuple[str, ...]): Paths of the queries whose identity no gallery image shows, or none of
            another camera. A protocol that drops same-camera matches cannot score those.
        shared_identities (Tuple[int, ...]): Identities that are in the training part and in the query part.
    """

    num_queries: int
    queries_without_match: Tuple[str, ...]
    shared_identities: Tuple[int, ...]


def check_split(split: ReIDSplit, camera_filter: bool = True) -> SplitReport:
    """Checks that queries can be scored, before hours go into a model that cannot be evaluated.

    The known trap of custom data: evaluation drops the gallery images of the query's own identity and camera. If query
    and gallery come from the same cameras alone (all set to 0, say), every match is dropped and no metric exists.

    Args:
        split (ReIDSplit): What a reader returned.
        camera_filter (bool): Whether the protocol drops matches of the query's own camera; if not, cameras do not
            matter. Default: ``True``

    Returns:
        SplitReport: Counts; queries without a match are allowed as long as there are others.

    Raises:
        DataError: If a part is empty, query and gallery share no identity, or no query has a match under another
            camera.
    """
    for part in ("train", "query", "gallery"):
        if not getattr(split, part):
            raise DataError(f"{split.name}: the {part} part has no images")

    gallery_cameras: Dict[int, Set[int]] = defaultdict(set)
    for image in split.gallery:
        gallery_cameras[image.identity].add(image.camera)
    query_identities = {image.identity for image in split.query}
    if not query_identities & gallery_cameras.keys():
        raise DataError(
            f"{split.name}: query and gallery share no identity (queries: "
            f"{listed([str(i) for i in sorted(query_identities)])}); every query needs images of the same person in "
            "the gallery"
        )

    unmatched = tuple(
        image.path
        for image in split.query
        if not gallery_cameras.get(image.identity, set())
        - ({image.camera} if camera_filter else set())
    )
    if len(unmatched) == len(split.query):
        cameras = sorted({image.camera for image in split.query + split.gallery})
        raise DataError(
            f"{split.name}: query and gallery share all cameras (camera {listed([str(c) for c in cameras])}): none of "
            f"the {len(split.query)} queries has an image of the same person under another camera, and evaluation "
            "drops matches of the query's own camera, so nothing would be left to score. Give query and gallery images "
            "of one person different camera numbers, or evaluate without the camera filter"
        )
    train_identities = {image.identity for image in split.train}
    return SplitReport(
        len(split.query), unmatched, tuple(sorted(train_identities & query_identities))
    )
