# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Union

import yaml
from examples.common.config import CONFIG_FILE, save_config, to_plain
from torchmultimodal_reid.utils.atomic import write_file_atomically
from torchmultimodal_reid.utils.environment import environment_stamp

RUN_FILE = "run.json"


def check_run(
    directory: Union[str, Path], *, resume: bool = False, is_main: bool = True
) -> Path:
    """Says early, before data and model are looked at, whether :func:`prepare_run` will take a directory.

    Arguments, returned value and errors are those of :func:`prepare_run`; nothing is written.
    """
    directory = Path(directory)
    if not is_main:
        return directory
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"{directory} is there already, and is no folder.")
    begun = {RUN_FILE, CONFIG_FILE}
    found = (
        {entry.name for entry in directory.iterdir()} if directory.exists() else set()
    )
    if resume and not found & begun:
        raise ValueError(
            f"expected a run to resume in {directory}, but it has no {RUN_FILE}"
        )
    # a process that was killed while it made the directory may have left that; from then on it can be resumed
    if not resume and found - {f".{CONFIG_FILE}.writing"}:
        raise ValueError(
            f"{directory} is there already. Go on with it by --resume {directory}, or choose another name."
        )
    return directory


def prepare_run(
    directory: Union[str, Path],
    config: Any,
    *,
    seed: int,
    resume: bool = False,
    is_main: bool = True,
) -> Path:
    """Makes a run's directory and notes what the run is made of. Call it last, when data and model were checked.

    It holds ``config.yaml``, resolved, and ``run.json`` with one entry each time the run was started or resumed: the
    command, the seed, versions, commit and devices.

    Args:
        directory (Union[str, Path]): The directory, such as ``runs/NAME``.
        config (Any): The configuration, a dataclass.
        seed (int): The seed of the run.
        resume (bool): Whether to go on with a run that is there. Default: ``False``
        is_main (bool): Whether this process writes; the others only learn the path. Default: ``True``

    Returns:
        Path: The directory.

    Raises:
        ValueError: If the directory holds something and this is no resumption, or there is nothing to resume.
    """
    directory = check_run(directory, resume=resume, is_main=is_main)
    if not is_main:
        return directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"the run's folder {directory} cannot be made: {error.strerror}"
        ) from error
    sessions: List[Dict[str, Any]] = []
    changed: List[str] = []
    if resume:
        if (directory / RUN_FILE).is_file():
            text = (directory / RUN_FILE).read_text(encoding="utf-8")
            sessions = json.loads(text)["sessions"]
        changed = _changes(directory / CONFIG_FILE, to_plain(config))
    if changed:
        print(
            f"warning: resumed with another configuration than before: {', '.join(changed)}",
            file=sys.stderr,
        )
    sessions.append(
        {
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "command": shlex.join([sys.executable, *sys.argv]),
            "seed": seed,
            "resumed": resume,
            "changed": changed,
            "environment": environment_stamp(),
        }
    )
    save_config(config, directory / CONFIG_FILE)
    write_file_atomically(
        directory / RUN_FILE, json.dumps({"sessions": sessions}, indent=2) + "\n"
    )
    return directory


def _changes(path: Path, config: Dict[str, Any]) -> List[str]:
    before = (
        _flat(yaml.safe_load(path.read_text(encoding="utf-8")))
        if path.is_file()
        else {}
    )
    after = _flat(config)
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return [f"{key} {before.get(key)} -> {after.get(key)}" for key in keys]


def _flat(value: Any, prefix: str = "") -> Dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix[:-1]: value}
    return {
        key: item
        for name, child in value.items()
        for key, item in _flat(child, f"{prefix}{name}.").items()
    }
