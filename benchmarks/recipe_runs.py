# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Runs of the recipes that benchmarks compare: one that was stopped goes on. And their scores, read and shown."""

import statistics
from pathlib import Path
from typing import Sequence

from examples.common.demonstration import read_results, run
from examples.demo import CONFIGS, DOMAINS

QUERIES = ("image query", "text query", "image+text query")


def train(recipe: str, config: str, folder: Path, *changes: str) -> None:
    """Runs a training recipe to its end, from its beginning or from where it was stopped.

    Args:
        recipe (str): As ``python -m`` takes it.
        config (str): Its configuration's file.
        folder (Path): Of the run.
        changes (str): ``key=value`` of the configuration.
    """
    run(
        recipe,
        *(["--resume", str(folder)] if folder.is_dir() else []),
        *("--config", config),
        f"output={folder}",
        *changes,
    )


def pretrain(datasets: Path, folder: Path, seed: int, *changes: str) -> None:
    """The demonstration's pretraining of MMET, unless it is there.

    Args:
        datasets (Path): Where the demonstration rendered its domains.
        folder (Path): Of the run.
        seed (int): Of the run.
        changes (str): ``key=value`` of the configuration.
    """
    # the picture is what a run leaves last
    if (folder / "reconstruction.png").is_file():
        return
    _train_demo("pretrain", datasets, folder, seed, *changes)


def finetune(datasets: Path, folder: Path, seed: int, *changes: str) -> None:
    """The demonstration's fine-tuning of MMET and its evaluation on both domains, unless they are there.

    Args:
        datasets (Path): Where the demonstration rendered its domains.
        folder (Path): Of the run.
        seed (int): Of the run.
        changes (str): ``key=value`` of the configuration.
    """
    if all((folder / name / "results.json").is_file() for name in DOMAINS):
        return
    _train_demo("finetune", datasets, folder, seed, *changes)
    for name in DOMAINS:
        run(
            "examples.mmet.evaluate",
            f"checkpoint={folder / 'best'}",
            f"data.root={datasets / name}",
            f"data.name={name}",
            f"output={folder / name}",
            "figures=false",
        )


def _train_demo(
    kind: str, datasets: Path, folder: Path, seed: int, *changes: str
) -> None:
    config = f"{CONFIGS}/demo_{kind}.yaml"
    source = f"data.root={datasets / 'source'}"
    train(f"examples.mmet.{kind}", config, folder, source, f"seed={seed}", *changes)


def mean_precision(folder: Path, domain: str, query: str) -> float:
    """mAP of one kind of query, as :func:`finetune` left it."""
    rows = read_results(folder / domain / "results.json")
    return next(row["metrics"]["mAP"] for row in rows if row["name"] == query)


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation of several seeds, in percent."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.1f} ± {100 * deviation:.1f}"
