# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The scores of a model card: what the results.json of several seeds say, as tables in Markdown."""

import statistics
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from examples.zoo.lineage import read_lineage, rendering
from torchmultimodal_reid.evaluation.report import reported_map
from torchmultimodal_reid.evaluation.saved_report import read_report, SavedReport
from torchmultimodal_reid.utils.checkpoint import (
    checkpoint_fingerprint,
    read_checkpoint,
)

# metrics of a validation split that a card shows, and whether they are shares
_OF_VALIDATION = {"mAP": True, "rank1": True, "attributes": True, "bleu4": False}
_OF_VALIDATION.update(cider=False, perplexity=False)


class Scored(NamedTuple):
    """A results.json and whose it is."""

    report: SavedReport
    seed: int  # of the training
    fingerprint: str  # of the checkpoint


def read_scores(paths: Sequence[str], fingerprint: str) -> List[Scored]:
    """Reads results, and checks that they are what they are taken for.

    Args:
        paths (Sequence[str]): Files results.json, of several seeds and data sets.
        fingerprint (str): Of the checkpoint that the card is of.

    Raises:
        ValueError: If a checkpoint is no more the one that was evaluated, a seed has two results on one data set, or
            none of them is of the card's checkpoint.
    """
    scored = []
    for path in paths:
        report = read_report(path)
        checkpoint = Path(str(report.extra.get("checkpoint")))
        evaluated = (report.extra.get("model") or {}).get("fingerprint")
        found = checkpoint_fingerprint(read_checkpoint(checkpoint, []))
        if found != evaluated:
            raise ValueError(
                f"{path} is of another checkpoint than the one that now lies at {checkpoint}; evaluate it again"
            )
        scored.append(Scored(report, read_lineage(checkpoint)[-1].seed, found))
    told = [(one.report.content["dataset"], one.seed) for one in scored]
    for twice in {one for one in told if told.count(one) > 1}:
        raise ValueError(
            f"two of the results are of data set {twice[0]!r} and seed {twice[1]}; give one of each, of one training"
        )
    if not any(one.fingerprint == fingerprint for one in scored):
        raise ValueError(
            "none of the results is of the checkpoint to publish; evaluate it, and give that results.json too"
        )
    return scored


def score_table(scored: Sequence[Scored], fingerprint: str) -> str:
    """One line for each data set and query, in percent: mean and deviation over the seeds, and the card's own seed."""
    values: Dict[Tuple[str, str], List[Tuple[float, ...]]] = {}
    own: Dict[Tuple[str, str], float] = {}
    for one in scored:
        for row in one.report.rows:
            key = (str(one.report.content["dataset"]), row.name)
            metrics = row.metrics
            found = (reported_map(row), float(metrics.cmc[0]), metrics.mINP)
            values.setdefault(key, []).append(found)
            if one.fingerprint == fingerprint:
                own[key] = found[0]
    lines = ["| data set | query | mAP | rank-1 | mINP | mAP of this file's seed |"]
    lines.append("|---|---|---|---|---|---|")
    for (dataset, name), rows in values.items():
        cells = [spread([100 * value for value in column]) for column in zip(*rows)]
        this = f"{100 * own[dataset, name]:.1f}" if (dataset, name) in own else ""
        lines.append(f"| {dataset} | {name} | {' | '.join(cells)} | {this} |")
    return "\n".join(lines)


def tested_on(scored: Sequence[Scored]) -> Dict[str, str]:
    """The command that renders each data set of the results, by its name in them."""
    return {
        str(one.report.content["dataset"]): rendering(
            Path(str(one.report.extra.get("root")))
        )
        for one in scored
    }


def validation_table(found: Sequence[Mapping[str, Any]]) -> str:
    """What the runs measured on people that were held out of their training data.

    Args:
        found (Sequence[Mapping[str, Any]]): The metrics of the best step of each seed, the card's own first; empty
            where a run measured nothing.
    """
    lines = ["| measured on held-out people | all seeds | this file |", "|---|---|---|"]
    for name in found[0]:
        kind = name if name in _OF_VALIDATION else name.rpartition("_")[2]
        if kind not in _OF_VALIDATION:
            continue
        share = _OF_VALIDATION[kind]
        every = [
            100 * one[name] if share else one[name] for one in found if name in one
        ]
        unit, digits = (" %", 1) if share else ("", 2)
        this = f"{every[0]:.{digits}f}{unit}"
        lines.append(f"| {name} | {spread(every, digits)}{unit} | {this} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Mean ± standard deviation, the latter where there are several; "-" where there is no number."""
    if any(value != value for value in values):
        return "-"
    deviation = statistics.stdev(values) if len(values) > 1 else None
    more = "" if deviation is None else f" ± {deviation:.{digits}f}"
    return f"{statistics.mean(values):.{digits}f}{more}"
