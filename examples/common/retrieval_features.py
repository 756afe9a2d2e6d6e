# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Features of a gallery and of what is asked of it, and the rules under which they are ranked."""

from collections import defaultdict
from typing import (
    DefaultDict,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from examples.common.protocols import Target
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit, with_captions
from torchmultimodal_reid.data.validation import check_split
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.protocols import (
    EvaluationProtocol,
    get_protocol,
    number_images,
)

# row of the table: which query, under which rules; the first three share them, so that they can be compared
QUERY_KINDS = {
    "image": "image-to-image",
    "text": "text-to-image-cross-camera",
    "image+text": "image+text-to-image",
}
# where all images are of one camera, as in CUHK-PEDES, whose names tell none
KINDS_WITHOUT_CAMERAS = {
    "image": "image-to-image-no-camera",
    "text": "text-to-image",
    "image+text": "image+text-to-image-no-camera",
}
DEFAULT_PROTOCOLS = {kind: get_protocol(name) for kind, name in QUERY_KINDS.items()}


def uses_cameras(split: ReIDSplit) -> bool:
    """Whether the usual rules drop matches of a query's own camera: not if no camera is told and captions are."""
    return split.tells_cameras or not with_captions(split.query)


class RetrievalFeatures(NamedTuple):
    """Features of the gallery and of each kind of query, and the images that they came from."""

    gallery: Features
    query: Dict[str, Features]
    gallery_images: Sequence[PersonImage]
    query_images: Dict[str, Sequence[PersonImage]]
    # rules of each kind of query
    protocols: Mapping[str, EvaluationProtocol] = DEFAULT_PROTOCOLS


def under_protocol(features: RetrievalFeatures, name: str) -> RetrievalFeatures:
    """The same features under other rules for one kind of query: only queries of that kind are left.

    Raises:
        ValueError: If no query of the protocol's kind is there.
    """
    protocol = get_protocol(name)
    kind = protocol.query
    if kind not in features.query:
        raise ValueError(
            f"protocol {name} is for {kind} queries, of which there are none: the queries' images have no captions, or "
            "the model reads none"
        )
    query, gallery = features.query[kind], features.gallery
    if protocol.own_image_filter:
        asked, numbers = number_images(
            [image.path for image in features.query_images[kind]],
            [image.path for image in features.gallery_images],
        )
        query, gallery = query._replace(camera=asked), gallery._replace(camera=numbers)
    return RetrievalFeatures(
        gallery,
        {kind: query},
        features.gallery_images,
        {kind: features.query_images[kind]},
        {kind: protocol},
    )


def without_cameras(features: RetrievalFeatures) -> RetrievalFeatures:
    """The same features under the rules for images of which no camera is known."""
    gallery_paths = [image.path for image in features.gallery_images]
    query = {}
    for kind, part in features.query.items():
        asked, numbers = number_images(
            [image.path for image in features.query_images[kind]], gallery_paths
        )
        query[kind] = part._replace(camera=asked)
    return features._replace(
        gallery=features.gallery._replace(camera=numbers),
        query=query,
        protocols={kind: get_protocol(KINDS_WITHOUT_CAMERAS[kind]) for kind in query},
    )


def within_split(features: RetrievalFeatures, split: ReIDSplit) -> RetrievalFeatures:
    """The features of those images alone that a split has, in its order of the gallery and of each kind of query."""
    gallery, images = _select(features.gallery, features.gallery_images, split.gallery)
    parts = {
        kind: _select(query, features.query_images[kind], split.query)
        for kind, query in features.query.items()
    }
    return features._replace(
        gallery=gallery,
        gallery_images=images,
        query={kind: part for kind, (part, _) in parts.items()},
        query_images={kind: shown for kind, (_, shown) in parts.items()},
    )


def _select(
    features: Features, images: Sequence[PersonImage], wanted: Sequence[PersonImage]
) -> Tuple[Features, Sequence[PersonImage]]:
    rows: DefaultDict[str, List[int]] = defaultdict(list)
    for row, image in enumerate(images):
        rows[image.path].append(row)
    taken = [row for image in wanted for row in rows[image.path]]
    part = Features(*(column[taken] for column in features))
    return part, [images[row] for row in taken]


def check_targets(targets: Sequence[Target], name: Optional[str]) -> None:
    """Raises a ValueError if what is tested on cannot be scored under the protocol ``name``, or the usual one."""
    for target in targets:
        if target.stamp is None:
            split = target.splits[0]
            camera_filter = uses_cameras(split)
            if name is not None:
                rules = get_protocol(name)
                # a gallery is drawn from the other cameras
                camera_filter = rules.camera_filter or rules.gallery_draws > 0
            check_split(split, camera_filter)
        elif name is not None and get_protocol(name).query != "image":
            raise ValueError(
                f"protocol {name} is for {get_protocol(name).query} queries, but {target.name} is searched by image"
            )
