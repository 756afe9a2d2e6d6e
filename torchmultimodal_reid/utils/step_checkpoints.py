# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import logging
import os
import re
import shutil
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import List, Optional, Tuple, Union

from torchmultimodal_reid.utils.atomic import remove_directory, restore_directory
from torchmultimodal_reid.utils.checkpoint import Checkpoint, read_checkpoint
from torchmultimodal_reid.utils.errors import CheckpointError

logger = logging.getLogger(__name__)

_STEP_NAME = re.compile(r"^step_(\d{8,})$")
_LEFTOVER = re.compile(r"^\.step_\d{8,}\.(writing|deleting)$")
_REPLACED = re.compile(r"^\.(step_\d{8,})\.old$")


def step_name(step: int) -> str:
    """The name of the checkpoint after ``step`` finished steps: ``step_00001000``."""
    if step < 0:
        raise ValueError(f"step must be >= 0, got {step}")
    return f"step_{step:08d}"


def step_checkpoints(directory: Union[str, Path]) -> List[Tuple[int, Path]]:
    """The ``(step, path)`` of a directory's checkpoints, oldest first. Nothing is opened."""
    directory = Path(directory)
    if not directory.is_dir():
        return []
    for entry in list(directory.iterdir()):
        replaced = _REPLACED.match(entry.name)
        if replaced:
            restore_directory(directory / replaced.group(1))
    found = [
        (_STEP_NAME.match(entry.name), entry)
        for entry in directory.iterdir()
        if entry.is_dir()
    ]
    return sorted((int(match.group(1)), entry) for match, entry in found if match)


def latest_checkpoint(directory: Union[str, Path]) -> Optional[Checkpoint]:
    """Reads the newest checkpoint that is whole.

    One that is broken is renamed to ``NAME.broken`` (``NAME.broken.2``, ...) with a warning, and the one before it is
    tried.

    Args:
        directory (Union[str, Path]): Where the ``step_*`` checkpoints are.

    Returns:
        Optional[Checkpoint]: The checkpoint, or ``None`` where there never was one.

    Raises:
        CheckpointError: If there are checkpoints but every one is broken. Starting afresh must be the user's decision.
    """
    problems: List[str] = []
    for _, path in reversed(step_checkpoints(directory)):
        try:
            return read_checkpoint(path)
        except CheckpointError as error:
            problems.append(str(error))
            broken = _free_name(path.with_name(f"{path.name}.broken"))
            # another process of the same run may be quicker
            with suppress(FileNotFoundError):
                os.rename(path, broken)
                logger.warning("Set aside as %s: %s", broken, error)
    if problems:
        raise CheckpointError(
            f"each of the {len(problems)} checkpoints in {directory} is broken. The oldest: {problems[-1]}"
        )
    return None


def _free_name(path: Path) -> Path:
    """The path, or with a number behind it where something is there already: nothing that was set aside is lost."""
    names = chain([path], (path.with_name(f"{path.name}.{n}") for n in count(2)))
    return next(name for name in names if not name.exists())


def prune_checkpoints(directory: Union[str, Path], keep: int) -> List[Path]:
    """Deletes all but the newest ``keep`` checkpoints, and what a killed process left half-written.

    Args:
        directory (Union[str, Path]): Where the ``step_*`` checkpoints are. Others (``best``) are left alone.
        keep (int): How many to keep, at least 1.

    Returns:
        List[Path]: The checkpoints that were deleted.
    """
    if keep < 1:
        raise ValueError(f"keep must be >= 1, got {keep}")
    doomed = [path for _, path in step_checkpoints(directory)[:-keep]]
    for path in doomed:
        remove_directory(path)
    for entry in Path(directory).glob(".step_*"):
        if _LEFTOVER.match(entry.name):
            shutil.rmtree(entry, ignore_errors=True)
    return doomed
