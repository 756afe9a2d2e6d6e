# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Runs of the VTBR recipes for benchmarks: one that is there is not made again, one that was stopped goes on."""

from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from benchmarks.recipe_runs import train
from examples.common.demonstration import read_results, run
from examples.demo_vtbr import CONFIGS
from torchmultimodal_reid.utils.step_checkpoints import latest_checkpoint


def pretrain(folder: Path, *changes: str) -> Path:
    """The best checkpoint of the demonstration's pretraining, with ``key=value`` changes."""
    # the picture is what a run leaves last
    if not (folder / "captions.png").is_file():
        _train("pretrain", folder, changes)
    return folder / "best"


def finetune(
    folder: Path, changes: Sequence[str], tests: Mapping[str, Sequence[str]]
) -> None:
    """The demonstration's fine-tuning with ``key=value`` changes, and an evaluation for each of the ``tests``.

    Args:
        folder (Path): Of the run; each evaluation goes into a folder of its name in it.
        changes (Sequence[str]): Of the training.
        tests (Mapping[str, Sequence[str]]): Changes of each evaluation, by its name.
    """
    left = [name for name in tests if not (folder / name / "results.json").is_file()]
    if not left:
        return
    _train("finetune", folder, changes)
    best = folder / "best"
    if not best.is_dir():  # nothing was watched: the last step is the result
        newest = latest_checkpoint(folder / "checkpoints")
        assert newest is not None, f"{folder} has no checkpoint"
        best = newest.path
    for name in left:
        run(
            "examples.vtbr.evaluate",
            f"checkpoint={best}",
            *tests[name],
            f"data.name={name}",
            f"output={folder / name}",
            "figures=false",
        )


def image_metrics(folder: Path) -> Dict[str, Any]:
    """The metrics of image queries that an evaluation wrote into ``folder``."""
    rows: List[Dict[str, Any]] = read_results(folder / "results.json")
    return next(row["metrics"] for row in rows if row["name"] == "image query")


def _train(recipe: str, folder: Path, changes: Sequence[str]) -> None:
    train(
        f"examples.vtbr.{recipe}",
        f"{CONFIGS}/demo_{recipe}.yaml",
        folder,
        *changes,
    )
