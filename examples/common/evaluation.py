# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""From features to a table, a JSON file and figures, for every kind of query that a model knows."""

from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, Protocol, Sequence

import torch
from examples.common.breakdown import format_breakdown
from examples.common.data import DataConfig
from examples.common.distributed import leave_process_group, make_accelerator
from examples.common.pictures import draw_pictures
from examples.common.protocols import find_protocol, read_targets, Target
from examples.common.ranking import RankingConfig
from examples.common.retrieval import Embed, ImageDescription, Retrieval
from examples.common.retrieval_features import (
    check_targets,
    DEFAULT_PROTOCOLS,
    RetrievalFeatures,
    under_protocol,
    within_split,
)
from examples.common.selection import (
    chosen_on_test_set,
    read_selection,
    TEST_SET_WARNING,
)
from examples.common.targets import evaluate_target, format_galleries, TargetResult
from torchmultimodal_reid.evaluation.averages import average_targets
from torchmultimodal_reid.evaluation.protocols import get_protocol
from torchmultimodal_reid.evaluation.report import (
    build_report,
    format_table,
    write_report,
)
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.utils.checkpoint import (
    checkpoint_fingerprint,
    read_checkpoint,
)


class Loaded(NamedTuple):
    """A model that can be asked."""

    embed: Embed
    description: ImageDescription
    read: Optional[CaptionTransform]  # None: it reads no text


class EvaluationConfig(Protocol):
    """What the configurations of evaluations have in common."""

    checkpoint: str
    output: str
    batch_size: int
    protocol: Optional[str]
    figures: bool
    breakdown: bool
    ranking: RankingConfig
    data: DataConfig


def check_output(folder: str) -> Path:
    """The folder for the results, which need not exist yet; a ValueError if a file has its name."""
    output = Path(folder)
    if output.exists() and not output.is_dir():
        raise ValueError(f"output must be a folder, but {output} is a file")
    return output


def run_evaluation(
    config: EvaluationConfig,
    kinds: Sequence[str],
    load: Callable[[torch.device], Loaded],
) -> None:
    """Embeds each target once, ranks every query, prints the table, writes ``results.json`` and, if wanted, figures.

    Args:
        config (EvaluationConfig): What to evaluate on what.
        kinds (Sequence[str]): Kinds of queries, out of "image", "text" and "image+text".
        load (Callable[[torch.device], Loaded]): Gives the model on a device, after all data are read.

    Raises:
        ValueError: If the output, a data set or the protocol does not fit; before any image is read.
    """
    accelerator = make_accelerator()
    output = check_output(config.output)
    targets = read_targets(config.data)
    check_targets(targets, config.protocol)
    model = load(accelerator.device)
    found = []
    for target in targets:
        retrieval = Retrieval(
            target.all_images(),
            model.description,
            kinds if target.stamp is None else ["image"],
            accelerator,
            model.read,
            config.batch_size,
            config.data.workers,
        )
        with torch.no_grad():
            found.append(retrieval.extract(model.embed))
    leave_process_group()
    if accelerator.is_main_process:
        report_results(config, targets, found, output)


def report_results(
    config: EvaluationConfig,
    targets: Sequence[Target],
    found: Sequence[RetrievalFeatures],
    output: Path,
) -> None:
    """Ranks every query, prints the table and writes ``results.json`` and, if wanted, breakdowns and figures.

    Args:
        config (EvaluationConfig): What was asked for.
        targets (Sequence[Target]): What is tested on.
        found (Sequence[RetrievalFeatures]): Of the images of each target.
        output (Path): The folder; it is made.
    """
    data, protocol = config.data, config.protocol
    if protocol is not None:
        found = [
            under_protocol(features, protocol) if target.stamp is None else features
            for target, features in zip(targets, found)
        ]
    results = {
        target.name: evaluate_target(
            target,
            features,
            config.protocol,
            config.ranking,
            config.breakdown,
            config.data.split_seed or 0,
        )
        for target, features in zip(targets, found)
    }
    rows = [
        row if len(results) == 1 else row._replace(name=f"{name}: {row.name}")
        for name, result in results.items()
        for row in result.rows
    ]
    if len(results) > 1:
        rows += average_targets(
            {name: result.rows for name, result in results.items()},
            {name: result.by_split for name, result in results.items()},
        )
    output.mkdir(parents=True, exist_ok=True)
    training = find_protocol(data)
    checkpoint = read_checkpoint(config.checkpoint, [])
    selection = read_selection(checkpoint.metadata)
    counts: Dict[str, Any] = {name: one.counts for name, one in results.items()}
    extra = {
        "checkpoint": config.checkpoint,
        "model": {
            "fingerprint": checkpoint_fingerprint(checkpoint),
            "description": checkpoint.metadata.get("model"),
        },
        "root": data.root if training is None else dict(data.roots),
        "options": dict(data.options),
        "selection": selection,
        "training_protocol": None if training is None else training.stamp(),
        "splits": {name: one.splits for name, one in results.items() if one.splits},
    }
    breakdowns = {n: one.breakdown for n, one in results.items() if one.breakdown}
    if breakdowns:
        extra["breakdown"] = breakdowns
    report = build_report(
        rows,
        dataset=data.title,
        counts=counts if len(results) > 1 else next(iter(counts.values())),
        extra=extra,
    )
    write_report(output / "results.json", report)
    title = _title(config, targets, found)
    for name, result in results.items():
        if result.splits is not None and "galleries" in result.splits:
            title += f"\n{name}: {format_galleries(result.splits['galleries'])}"
    if chosen_on_test_set(selection):
        title = f"{title}\n{TEST_SET_WARNING}"
    print(format_table(rows, title=title))
    for name, part in breakdowns.items():
        print(f"\n{name}\n{format_breakdown(part)}")
    print(f"written: {output / 'results.json'}")
    if config.figures:
        _draw(config, targets, found, results, output)


def _title(
    config: EvaluationConfig,
    targets: Sequence[Target],
    found: Sequence[RetrievalFeatures],
) -> str:
    images = sum(len(features.gallery_images) for features in found)
    title = f"{config.data.title}: {images} gallery images"
    training = find_protocol(config.data)
    if training is not None:
        title = f"{title}, protocol {training.name} (version {training.version})"
    if config.protocol is not None:
        version = get_protocol(config.protocol).version
        title = f"{title}, {config.protocol} (version {version})"
    for target, features in zip(targets, found):
        if config.protocol is None and features.protocols is not DEFAULT_PROTOCOLS:
            names = ", ".join(rules.name for rules in features.protocols.values())
            title += f"\n{target.name}: no camera is told, so the rules are {names}"
        if target.stamp is not None:
            seed = target.stamp["seed"]
            drawn = "published" if seed is None else f"of seed {seed}"
            digest = target.stamp["sha256"][:12]
            title += f"\n{target.name}: mean of {target.stamp['count']} splits, {drawn}, sha256 {digest}"
    return title


def _draw(
    config: EvaluationConfig,
    targets: Sequence[Target],
    found: Sequence[RetrievalFeatures],
    results: Dict[str, TargetResult],
    output: Path,
) -> None:
    for target, features in zip(targets, found):
        if target.stamp is not None:
            # the first split stands for all
            features = within_split(features, target.splits[0])
        folder = output if len(targets) == 1 else output / target.name
        folder.mkdir(exist_ok=True)
        title = config.data.title if len(targets) == 1 else target.name
        rows = results[target.name].rows
        for path in draw_pictures(features, rows, folder, title):
            print(f"written: {path}")
