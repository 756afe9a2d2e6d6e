# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Runs of the recipes that benchmarks compare: one that was stopped goes on. And how their scores are shown."""

import statistics
from pathlib import Path
from typing import Sequence

from examples.common.demonstration import run


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


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation of several seeds, in percent."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.1f} ± {100 * deviation:.1f}"
