# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Writes the page of protocols from their catalogues.

python -m torchmultimodal_reid.evaluation.protocols_page > docs/protocols.md
"""

from typing import List

from torchmultimodal_reid.data.registry import DATASETS
from torchmultimodal_reid.evaluation.protocols import EvaluationProtocol, PROTOCOLS
from torchmultimodal_reid.evaluation.shared_people import SHARED_PEOPLE
from torchmultimodal_reid.evaluation.splits import (
    NUM_SPLITS,
    ONLY_PUBLISHED,
    PUBLISHED_SPLITS,
    SPLIT_COUNTS,
    SPLIT_SETS,
)
from torchmultimodal_reid.evaluation.training_protocols import (
    get_training_protocol,
    LEAVE_ONE_OUT,
    PROTOCOL_2_AND_3,
    TRAIN,
    TrainingProtocol,
)

INTRODUCTION = """\
# Protocols

<!-- written by `python -m torchmultimodal_reid.evaluation.protocols_page > docs/protocols.md`; change a catalogue -->

Every result in `results.json` carries the stamp of its protocols: name, version, AP variant, camera rule, counts and
versions of packages. A version rises whenever the same name would give other numbers.

## What to learn from and what to test on

One line of a recipe's configuration, `data.protocol=NAME`, and the folders, `data.roots.DATASET=FOLDER`. The training
recipes need the folders of the sources, the evaluation those of the targets. `A` and `B` are names of
[data sets](datasets.md). "all" are the training, query and gallery parts together; junk and distractors are left out.

| name | version | sources | targets | splits | note |
|---|---|---|---|---|---|
"""

SHARED = """
`A-to-B` is refused where both have the same people:
"""

SPLITS = """
The splits of {sets} are drawn by their readers from `data.split_seed` (default 0; `null`: the published ones of
{published}). The result is the mean over {count}; their SHA-256, the deviation and the numbers of each stand beside it.
{only} has {only_count} splits, the published ones.

## What is asked, and how answers are counted

`protocol=NAME` of an evaluation. Without it, each kind of query has its rules with cameras; the small sets are searched
under `image-to-image-single-shot`, cuhk03_classic under `image-to-image-single-gallery`; captioned images of which no
camera is told, as CUHK-PEDES, under the rules without.
AP is the mean of the precision at each hit ("hits") or the area by trapezoids ("trapezoid", Market-1501's Matlab code).

| name | version | query | AP variant | camera rule | note |
|---|---|---|---|---|---|
"""


def protocols_page() -> str:
    """The text of ``docs/protocols.md``."""
    lines = [INTRODUCTION, *_training_rows(), SHARED]
    lines += [
        f"- {first} and {' or '.join(others)}: {reason}.\n"
        for first, others, reason in SHARED_PEOPLE
    ]
    lines.append(
        SPLITS.format(
            sets=", ".join(SPLIT_SETS),
            published=", ".join(x for x in PUBLISHED_SPLITS if x in SPLIT_SETS),
            only=", ".join(ONLY_PUBLISHED),
            only_count=SPLIT_COUNTS[ONLY_PUBLISHED[0]],
            count=NUM_SPLITS,
        )
    )
    lines += [_evaluation_row(protocol) for protocol in PROTOCOLS.values()]
    return "".join(lines)


def _training_rows() -> List[str]:
    note = "A's own training and test part; A is none of the small sets."
    rows = [f"| `supervised:A` | 1 | A (train) | A |  | {note} |\n"]
    note = "Nothing of the target is seen in training."
    rows.append(
        f"| `A-to-B` | 1 | A (train) | B | {NUM_SPLITS} if B is small; 20 of cuhk03_classic | {note} |\n"
    )
    names = [f"leave-one-out:{target}" for target in LEAVE_ONE_OUT]
    names += ["P1", "P1-duke"]
    names += [f"{form}:{t}" for form in ("P2", "P3") for t in PROTOCOL_2_AND_3]
    known = tuple(DATASETS)
    return rows + [_training_row(get_training_protocol(name, known)) for name in names]


def _training_row(protocol: TrainingProtocol) -> str:
    sources = ", ".join(
        f"{source.dataset} ({'train' if source.parts == TRAIN else 'all'})"
        for source in protocol.sources
    )
    splits = str(SPLIT_COUNTS.get(protocol.targets[0], ""))
    cells = [
        f"`{protocol.name}`",
        str(protocol.version),
        sources,
        ", ".join(protocol.targets),
        splits,
        protocol.note,
    ]
    return f"| {' | '.join(cells)} |\n"


def _evaluation_row(protocol: EvaluationProtocol) -> str:
    rule = "none: every image counts"
    if protocol.camera_filter:
        rule = "drops images of the query's identity and camera"
    elif protocol.own_image_filter:
        rule = "drops the query's own image"
    elif protocol.gallery_draws:
        rule = "searches in the other cameras"
    cells = [
        f"`{protocol.name}`",
        str(protocol.version),
        protocol.query,
        protocol.average_precision,
        rule,
        protocol.note,
    ]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(protocols_page(), end="")
