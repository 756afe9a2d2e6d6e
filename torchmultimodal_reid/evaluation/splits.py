# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Seeded splits of the small data sets whose results are means over ten of them."""

import hashlib
import json
import os
from pathlib import PurePath
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.half_splits import RULE_VERSION
from torchmultimodal_reid.data.registry import dataset_info, read_dataset
from torchmultimodal_reid.data.sample import ReIDSplit

NUM_SPLITS = 10
# data sets whose results are means over splits, which their readers draw
SPLIT_SETS = ("prid2011", "grid", "viper", "ilids")
# and how many they are, of every data set that is tested on its splits
SPLIT_COUNTS: Dict[str, int] = {
    **{name: NUM_SPLITS for name in SPLIT_SETS},
    "cuhk03_classic": 20,
}
# those whose authors published the splits; of the second, no others are drawn
PUBLISHED_SPLITS = ("grid", "cuhk03_classic")
ONLY_PUBLISHED = ("cuhk03_classic",)


class SeededSplits(NamedTuple):
    """All cuts of a small data set, and the stamp of a result over them."""

    splits: Tuple[ReIDSplit, ...]
    stamp: Dict[str, Any]  # rule, seed, count and the SHA-256 of the splits


def draw_splits(
    dataset: str,
    root: str,
    *,
    seed: Optional[int] = 0,
    count: Optional[int] = None,
    **options: Any,
) -> SeededSplits:
    """Reads a small data set once for each of its splits, which its reader draws (``split=0``, ``split=1``, ...).

    Who is tested comes from hashes of the seed, not from a random generator
    (:func:`~torchmultimodal_reid.data.half_splits.half_split`), so it is the same on every machine and with every
    release of torch.

    Args:
        dataset (str): Of :data:`SPLIT_COUNTS`.
        root (str): As its reader takes it.
        seed (Optional[int]): Decides who is tested, and which image is the query where a reader draws it. ``None`` for
            the published splits of :data:`PUBLISHED_SPLITS`, and 0 for the others. Not used for
            :data:`ONLY_PUBLISHED`. Default: 0
        count (Optional[int]): How many splits. Default: ``None``, as many as :data:`SPLIT_COUNTS` says
        **options (Any): Others of the reader, such as ``captions``.

    Raises:
        ValueError: If there are no such splits, or an option would decide who is tested.
        DataError: If the counts are not the published ones, and what the reader raises.
    """
    if dataset not in SPLIT_COUNTS:
        raise ValueError(
            f"{dataset} has no random splits; expected one of {', '.join(SPLIT_COUNTS)}"
        )
    count = SPLIT_COUNTS[dataset] if count is None else count
    for option in ("split", "split_seed", "train_identities"):
        if option in options:
            raise ValueError(
                f"option {option} of {dataset} is set by the average over its splits; leave it out"
            )
    if dataset in ONLY_PUBLISHED:
        seed = None
    is_published = seed is None and dataset in PUBLISHED_SPLITS
    if not is_published:
        seed = options["split_seed"] = seed or 0
    splits = tuple(
        read_dataset(dataset, root, split=number, **options) for number in range(count)
    )
    for split in splits:
        _check_counts(dataset, root, split)
    stamp = {
        "dataset": dataset,
        "rule": "published" if is_published else f"half splits, version {RULE_VERSION}",
        "seed": seed,
        "count": count,
        "sha256": hash_splits(splits),
    }
    return SeededSplits(splits, stamp)


def _check_counts(dataset: str, root: str, split: ReIDSplit) -> None:
    published = dataset_info(dataset).counts
    people, tested = (
        len({image.identity for image in part}) for part in (split.train, split.query)
    )
    for what, found, expected in (
        ("people to train on", people, published["train"].identities),
        ("people to test on", tested, published["query"].identities),
        ("queries", len(split.query), published["query"].images),
        ("gallery images", len(split.gallery), published["gallery"].images),
    ):
        if expected is not None and found != expected:
            raise DataError(
                f"{dataset} under {root}: expected {expected} {what} in a split, found {found}; is the data set whole?"
            )


def hash_splits(splits: Sequence[ReIDSplit]) -> str:
    """SHA-256 over the paths, relative to the split's root, and the identities of queries and galleries, in order."""
    content = [
        [
            [
                [
                    PurePath(os.path.relpath(image.path, split.root)).as_posix(),
                    image.identity,
                ]
                for image in part
            ]
            for part in (split.query, split.gallery)
        ]
        for split in splits
    ]
    return hashlib.sha256(json.dumps(content).encode("utf-8")).hexdigest()
