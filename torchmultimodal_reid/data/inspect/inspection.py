# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from itertools import chain
from typing import Any, Callable, Dict, Iterable, Iterator, Mapping, Optional

from torchmultimodal_reid.data.inspect.captions import lint_captions
from torchmultimodal_reid.data.inspect.files import check_files
from torchmultimodal_reid.data.inspect.findings import Collector
from torchmultimodal_reid.data.inspect.parts import (
    check_parts,
    compare_counts,
    count_part,
    DISTRACTOR,
    PARTS,
)
from torchmultimodal_reid.data.inspect.report import Report
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from tqdm import tqdm


def distinct_images(split: ReIDSplit) -> Dict[str, PersonImage]:
    """The images of a split by path: one that is query and gallery counts once."""
    return {
        image.path: image for image in chain(split.train, split.query, split.gallery)
    }


def inspect_split(
    split: ReIDSplit,
    *,
    published: Optional[Mapping[str, Any]] = None,
    text_queries: bool = False,
    max_length: int = 77,
    count_tokens: Optional[Callable[[str], int]] = None,
    files: bool = True,
    workers: int = 2,
    progress: bool = False,
) -> Report:
    """Looks through a data set for what spoils training or evaluation. Memory is linear in the images, and small.

    Args:
        split (ReIDSplit): What a reader returned.
        published (Optional[Mapping[str, Any]]): Published ``PartCounts`` by part. Default: none
        text_queries (bool): Whether captions are the queries. Default: ``False``
        max_length (int): Tokens after which a text is cut off. Default: 77
        count_tokens (Optional[Callable[[str], int]]): Tokens of a caption. Default: as many as there are at least
        files (bool): Whether to read and decode every image. Default: ``True``
        workers (int): Threads that decode. Default: 2
        progress (bool): Whether to show a progress bar. Default: ``False``

    Returns:
        Report: Counts and findings.
    """
    found = Collector()
    images = distinct_images(split)
    asked_for = {image.identity for image in split.train + split.query}
    distractors = DISTRACTOR not in asked_for
    parts = {part: count_part(getattr(split, part), distractors) for part in PARTS}
    parts["all"] = count_part(tuple(images.values()), distractors)
    published = published or {}
    check_parts(split, found, text_queries)
    compare_counts(parts, published, found)

    def run(steps: Iterator[None], what: str) -> None:
        bar: Iterable[None] = tqdm(
            steps, total=len(images), desc=what, unit="image", disable=not progress
        )
        for _ in bar:
            pass

    run(lint_captions(images.values(), found, max_length, count_tokens), "captions")
    if files:
        part_of = {path: "test" for path in images}
        part_of.update((image.path, "train") for image in split.train)
        run(check_files(images.values(), part_of, found, workers), "images")
    return Report(split.name, split.root, parts, published, found.findings())
