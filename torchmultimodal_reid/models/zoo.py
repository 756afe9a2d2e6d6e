# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Models that have a name: trained checkpoints that ship with the library."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Dict, List, NamedTuple, Union

from torchmultimodal_reid.utils.atomic import restore_directory
from torchmultimodal_reid.utils.checkpoint import MANIFEST
from torchmultimodal_reid.utils.errors import CheckpointError

# where the checkpoints lie that ship, one folder a name
WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
CARD = "README.md"  # of a model, in its folder
_EXPECTED = (
    f"a checkpoint's folder, which holds {MANIFEST} and model.safetensors, such as "
    "runs/finetune/best"
)


class ZooModel(NamedTuple):
    """One entry of the zoo."""

    name: str  # what load() and ReIDPipeline.from_checkpoint() take
    summary: str  # in one line what it does and what it learned from
    num_bytes: int  # of its files together
    folder: Path  # a checkpoint; its README.md is the model card


def zoo_models() -> Dict[str, ZooModel]:
    """The trained models that ship with the library, by name.

    Returns:
        Dict[str, ZooModel]: In the order of their names. Each one's card, a file :data:`CARD` in its folder, tells what
        it learned from, its scores, and what it must not be used for.

    Raises:
        CheckpointError: If the description of one cannot be read.
    """
    return {
        manifest.parent.name: _read_entry(manifest)
        for manifest in sorted(WEIGHTS.glob(f"*/{MANIFEST}"))
        # what a publication that was cut off left
        if not manifest.parent.name.startswith(".")
    }


def find_checkpoint(path_or_name: Union[str, Path]) -> Path:
    """The folder of a checkpoint, from its path or from its name in the zoo. A folder that is there goes first.

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
    name, zoo = str(path_or_name), zoo_models()
    if name in zoo:
        return zoo[name].folder
    near = get_close_matches(name, zoo, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    names = f"the names are {', '.join(zoo)}" if zoo else "no model has a name yet"
    raise CheckpointError(
        f"{name!r} is neither a path that is there nor the name of a model ({names}).{hint} Expected {_EXPECTED}."
    )


def _read_entry(manifest: Path) -> ZooModel:
    folder = manifest.parent
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        summary = content["metadata"]["zoo"]["summary"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{manifest} describes no model of the zoo: {error!r}. Install the library again, or make the entry again "
            "with python -m examples.zoo.publish."
        ) from error
    num_bytes = sum(file.stat().st_size for file in folder.iterdir())
    return ZooModel(folder.name, summary, num_bytes, folder)


def _checkpoints_in(folder: Path) -> List[str]:
    """The checkpoints of a run's folder, the best first."""
    found = [*folder.glob(f"*/{MANIFEST}"), *folder.glob(f"checkpoints/*/{MANIFEST}")]
    return [str(manifest.parent) for manifest in found]
