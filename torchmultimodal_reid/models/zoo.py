# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Models that have a name: trained checkpoints that ship with the library."""

from difflib import get_close_matches
from pathlib import Path
from typing import Dict, List, NamedTuple, Union

from torchmultimodal_reid.utils.atomic import restore_directory
from torchmultimodal_reid.utils.checkpoint import MANIFEST
from torchmultimodal_reid.utils.errors import CheckpointError

# where the checkpoints lie that ship
WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
_EXPECTED = (
    f"a checkpoint's folder, which holds {MANIFEST} and model.safetensors, such as "
    "runs/finetune/best"
)


class ZooModel(NamedTuple):
    """One entry of the zoo."""

    folder: str  # in WEIGHTS: a checkpoint as the recipes write it
    summary: str  # in one line what it does and what it learned from


ZOO: Dict[str, ZooModel] = {}


def find_checkpoint(path_or_name: Union[str, Path]) -> Path:
    """The folder of a checkpoint, from its path or from its name in :data:`ZOO`. A folder that is there goes first.

    Args:
        path_or_name (Union[str, Path]): Such as ``"runs/finetune/best"``.

    Raises:
        CheckpointError: If it is neither. Says what the path has to hold and which names there are.
    """
    path = Path(path_or_name)
    restore_directory(path)
    if path.is_dir():
        if (path / MANIFEST).is_file():
            return path
        inside = _checkpoints_in(path)
        advice = f"Give one that is in it: {', '.join(inside)}" if inside else ""
        raise CheckpointError(
            f"{path} is a folder without {MANIFEST}. {advice or f'Expected {_EXPECTED}'}."
        )
    if path.exists():
        own = (path.parent / MANIFEST).is_file()
        raise CheckpointError(
            f"{path} is a file. Expected {f'its folder, {path.parent}' if own else _EXPECTED}."
        )
    name = str(path_or_name)
    if name in ZOO:
        return _shipped(name)
    near = get_close_matches(name, ZOO, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    names = f"the names are {', '.join(ZOO)}" if ZOO else "no model has a name yet"
    raise CheckpointError(
        f"{name!r} is neither a path that is there nor the name of a model ({names}).{hint} Expected {_EXPECTED}."
    )


def _shipped(name: str) -> Path:
    folder = WEIGHTS / ZOO[name].folder
    if not (folder / MANIFEST).is_file():
        raise CheckpointError(
            f"the weights of {name!r} are not installed: {folder} holds no {MANIFEST}. Install the library from a "
            "release or from a whole copy of the repository."
        )
    return folder


def _checkpoints_in(folder: Path) -> List[str]:
    """The checkpoints of a run's folder, the best first."""
    found = [*folder.glob(f"*/{MANIFEST}"), *folder.glob(f"checkpoints/*/{MANIFEST}")]
    return [str(manifest.parent) for manifest in found]
