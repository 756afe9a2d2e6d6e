# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from collections import Counter, defaultdict
from typing import Any, DefaultDict, Dict, Mapping, Sequence, Set

from torchmultimodal_reid.data.inspect.findings import Collector
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit

PARTS = ("train", "query", "gallery")
DISTRACTOR = 0  # identity of the gallery images that show none of the people asked for


def count_part(
    images: Sequence[PersonImage], distractors: bool = False
) -> Dict[str, Any]:
    """Counts of a part: identities, images, cameras, captions, identities of each camera, images by their captions.

    Args:
        images (Sequence[PersonImage]): The images.
        distractors (bool): Whether identity 0 stands for all that nobody asks for, and is no person.
            Default: ``False``
    """
    identities: DefaultDict[int, Set[int]] = defaultdict(set)
    captions: Counter = Counter()
    for image in images:
        identities[image.camera].add(image.identity)
        captions[len(image.captions)] += 1
    people = set().union(*identities.values())
    if distractors:
        people.discard(DISTRACTOR)
    return {
        "identities": len(people),
        "images": len(images),
        "cameras": len(identities),
        "captions": sum(number * count for number, count in captions.items()),
        "identities_per_camera": {
            str(camera): len(identities[camera]) for camera in sorted(identities)
        },
        "images_by_captions": {
            str(number): captions[number] for number in sorted(captions)
        },
    }


def check_parts(split: ReIDSplit, found: Collector, text_queries: bool) -> None:
    """Looks for parts that cannot be trained on, or whose test would mean nothing.

    Args:
        split (ReIDSplit): What a reader returned.
        found (Collector): Where findings go.
        text_queries (bool): Whether captions are the queries, so that no camera is filtered.
    """
    train = {image.identity for image in split.train}
    if not split.train:
        found.add("no_training_images", "the training part is empty", split.root)
    elif len(train) == 1:
        found.add(
            "one_identity",
            "the training part shows one identity only: nobody can be told from anybody",
            f"identity {min(train)}",
        )
    test = {image.identity for image in (*split.query, *split.gallery)}
    for identity in sorted(train & test):
        found.add(
            "identities_in_train_and_test",
            "identities of the training part that are in query or gallery too",
            f"identity {identity}",
        )
    if not text_queries:
        _check_queries(split, found)
    for part in PARTS:
        images = getattr(split, part)
        bare = [image for image in images if not image.captions]
        if bare and len(bare) < len(images):
            for image in bare:
                found.add(
                    "captions_missing",
                    "images without a caption in a part whose other images have some",
                    image.path,
                )


def _check_queries(split: ReIDSplit, found: Collector) -> None:
    cameras: DefaultDict[int, Set[int]] = defaultdict(set)
    for image in split.gallery:
        cameras[image.identity].add(image.camera)
    unmatched = [
        image
        for image in split.query
        if not cameras.get(image.identity, set()) - {image.camera}
    ]
    name = (
        "no_query_has_a_match"
        if len(unmatched) == len(split.query)
        else "queries_without_match"
    )
    for image in unmatched:
        found.add(
            name,
            "queries that share every camera with their matches, or have none: evaluation drops matches of the query's "
            "own camera",
            image.path,
        )


def compare_counts(
    parts: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, Any],
    found: Collector,
) -> None:
    """Notes where counts differ from the published ones.

    Args:
        parts (Mapping[str, Mapping[str, Any]]): Counts by part, as ``count_part`` makes them.
        published (Mapping[str, Any]): ``PartCounts`` by part.
        found (Collector): Where findings go.
    """
    for part, counts in published.items():
        for field, expected in counts._asdict().items():
            got = parts.get(part, {}).get(field)
            if expected is not None and got is not None and got != expected:
                found.add(
                    "counts_differ",
                    "counts that differ from the published ones",
                    f"{part}: {got:,} {field}, published {expected:,}",
                )
