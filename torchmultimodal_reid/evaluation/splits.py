# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Seeded splits of the small data sets whose results are means over ten of them."""

import hashlib
import json
import os
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any, DefaultDict, Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics
from torchmultimodal_reid.utils.seeding import derive_seed

NUM_SPLITS = 10


@dataclass(frozen=True)
class SplitRule:
    """How a small data set is cut into query and gallery. The peers' cuts are unseeded; these are functions of a seed.

    Args:
        name (str): The data set.
        version (int): Rises whenever the same seed would give another split.
        num_paired (int): People that can be searched: seen in both folders, or by two images where there is one folder.
        num_tested (int): How many of them a split tests.
        query_folder (Optional[str]): Name of the folder of the queries; ``None`` where a split draws two images of each
            person, one to search with and one to find.
        gallery_folder (Optional[str]): Name of the folder of the gallery.
        num_distractors (int): Gallery images of nobody that is searched for, which stand in every split.
        paired_up_to (Optional[int]): Highest identity that both folders share. Beyond it, equal numbers in the two
            folders are different people. Default: ``None``, any
    """

    name: str
    version: int
    num_paired: int
    num_tested: int
    query_folder: Optional[str]
    gallery_folder: Optional[str]
    num_distractors: int = 0
    paired_up_to: Optional[int] = None


SPLIT_RULES: Dict[str, SplitRule] = {
    rule.name: rule
    for rule in (
        SplitRule("viper", 1, 632, 316, "cam_a", "cam_b"),
        SplitRule("prid2011", 1, 200, 100, "cam_a", "cam_b", 549, 200),
        SplitRule("grid", 1, 250, 125, "probe", "gallery", 775),
        SplitRule("ilids", 1, 119, 60, None, None),
    )
}


class SmallSplit(NamedTuple):
    """One cut of a small data set."""

    query: Tuple[PersonImage, ...]
    gallery: Tuple[PersonImage, ...]


class SeededSplits(NamedTuple):
    """All cuts of a small data set, and the stamp of a result over them."""

    splits: Tuple[SmallSplit, ...]
    stamp: Dict[str, Any]  # rule, seed, count and the SHA-256 of the splits


def draw_splits(
    images: Sequence[PersonImage],
    root: str,
    rule: SplitRule,
    *,
    seed: int = 0,
    count: int = NUM_SPLITS,
) -> SeededSplits:
    """Cuts the images of a small data set, whatever part its reader put them in.

    The order of people and images in a split comes from hashes of the seed, not from a random generator, so it is the
    same on every machine and with every release of torch.

    Args:
        images (Sequence[PersonImage]): All images; one that is there twice counts once.
        root (str): Folder that the paths are made relative to for the hash.
        rule (SplitRule): Of :data:`SPLIT_RULES`.
        seed (int): Decides who is tested, and which image is the query where a rule draws it. Default: 0
        count (int): How many splits. Default: 10

    Raises:
        DataError: If the counts of people or distractors are not the rule's.
    """
    images = sorted({image.path: image for image in images}.values())
    if rule.query_folder is None:
        groups = _by_identity(images)
        paired = {i: group for i, group in groups.items() if len(group) > 1}
        distractors: Tuple[PersonImage, ...] = ()
    else:
        paired, distractors = _by_folder(images, rule)
    for what, found, expected in (
        ("people that can be searched", len(paired), rule.num_paired),
        ("distractors", len(distractors), rule.num_distractors),
    ):
        if found != expected:
            raise DataError(
                f"{rule.name} under {root}: expected {expected} {what}, found {found} among {len(images)} images; is "
                "the data set whole?"
            )
    splits = []
    for number in range(count):
        key = (seed, rule.name, rule.version, number)
        tested = sorted(paired, key=lambda i: derive_seed(*key, "person", i))
        pairs = [
            _query_and_match(paired[i], rule, key)
            for i in sorted(tested[: rule.num_tested])
        ]
        splits.append(
            SmallSplit(
                tuple(query for query, _ in pairs),
                (*(match for _, match in pairs), *distractors),
            )
        )
    stamp = {
        "rule": asdict(rule),
        "seed": seed,
        "count": count,
        "sha256": hash_splits(splits, root),
    }
    return SeededSplits(tuple(splits), stamp)


def _by_identity(images: Sequence[PersonImage]) -> Dict[int, List[PersonImage]]:
    groups: DefaultDict[int, List[PersonImage]] = defaultdict(list)
    for image in images:
        groups[image.identity].append(image)
    return dict(groups)


def _by_folder(
    images: Sequence[PersonImage], rule: SplitRule
) -> Tuple[Dict[int, List[PersonImage]], Tuple[PersonImage, ...]]:
    """People with images in both folders, and the gallery images of all others."""

    def inside(folder: Optional[str]) -> List[PersonImage]:
        return [image for image in images if folder in PurePath(image.path).parts[-2:]]

    asked, gallery = inside(rule.query_folder), inside(rule.gallery_folder)
    shared = {image.identity for image in asked} & {image.identity for image in gallery}
    if rule.paired_up_to is not None:
        shared = {identity for identity in shared if identity <= rule.paired_up_to}
    paired = _by_identity([i for i in asked + gallery if i.identity in shared])
    return paired, tuple(i for i in gallery if i.identity not in shared)


def _query_and_match(
    images: Sequence[PersonImage], rule: SplitRule, key: Tuple[Any, ...]
) -> Tuple[PersonImage, PersonImage]:
    order = sorted(
        images,
        key=lambda image: derive_seed(
            *key, "image", image.identity, PurePath(image.path).name
        ),
    )
    if rule.query_folder is None:
        return order[0], order[1]
    query, match = (
        next(image for image in order if folder in PurePath(image.path).parts[-2:])
        for folder in (rule.query_folder, rule.gallery_folder)
    )
    return query, match


def hash_splits(splits: Sequence[SmallSplit], root: str) -> str:
    """SHA-256 over the relative paths and identities of queries and galleries, in order."""
    content = [
        [
            [
                [PurePath(os.path.relpath(image.path, root)).as_posix(), image.identity]
                for image in part
            ]
            for part in split
        ]
        for split in splits
    ]
    return hashlib.sha256(json.dumps(content).encode("utf-8")).hexdigest()


class AveragedMetrics(NamedTuple):
    """Metrics over splits."""

    mean: RankingMetrics  # counts are those of one split
    deviation: Dict[
        str, float
    ]  # sample standard deviation of mAP and rank-1 over the splits


def average_splits(metrics: Sequence[RankingMetrics]) -> AveragedMetrics:
    """The mean over splits, which counts each split alike, and how far they lie apart.

    Raises:
        ValueError: If there is none, or the splits do not have equally many queries.
    """
    counts = {(one.num_queries, one.num_valid_queries) for one in metrics}
    if len(counts) != 1:
        raise ValueError(
            f"splits to average must have equally many queries, got {sorted(counts)}"
        )

    def numbers(name: str) -> torch.Tensor:
        return torch.tensor([getattr(one, name) for one in metrics]).double()

    cmc = torch.stack([one.cmc.double() for one in metrics])
    mean = metrics[0]._replace(
        mAP=float(numbers("mAP").mean()),
        mAP_trapezoid=float(numbers("mAP_trapezoid").mean()),
        mINP=float(numbers("mINP").mean()),
        cmc=cmc.mean(0),
        tpr_at_fpr=None,
    )
    # the deviation of a single split is not known; 0 would say that it is
    several = len(metrics) > 1
    deviation = {
        "mAP": float(numbers("mAP").std()) if several else None,
        "rank1": float(cmc[:, 0].std()) if several else None,
    }
    return AveragedMetrics(
        mean, {key: value for key, value in deviation.items() if value is not None}
    )
