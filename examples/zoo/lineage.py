# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a checkpoint came from: its run, the runs that this one started from, and the data that they learned from."""

import json
import re
import shlex
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

import yaml
from examples.common.config import CONFIG_FILE
from examples.common.run import RUN_FILE
from torchmultimodal_reid.data.synthetic.request import Request

RENDERER = "torchmultimodal_reid.data.synthetic"
# an absolute path in a command or a configuration; not the slashes of an address
_PATH = re.compile(r"(?<![\w./])/(?!/)[^\s'\",\]}]+")


class Run(NamedTuple):
    """One training."""

    folder: Path
    config: str  # text of its config.yaml
    command: str  # as one can give it again
    seed: int
    commits: Tuple[
        str, ...
    ]  # of the source it ran from, "+changes" where that was altered
    environment: Mapping[str, Any]  # of its first session
    data: Tuple[str, ...]  # the commands that rendered what it learned from

    @property
    def recipe(self) -> str:
        """The program's name: "pretrain", "finetune"."""
        return self.command.split()[2].rpartition(".")[2]


def read_lineage(checkpoint: Path) -> List[Run]:
    """The run that wrote ``checkpoint``, after the runs that it started from.

    Args:
        checkpoint (Path): A checkpoint in a run's folder.

    Raises:
        ValueError: If there is no such run, if one learned from anything but pedestrians that this library rendered, or
            started from weights that are no run's.
    """
    folder = run_folder(checkpoint)
    text = (folder / CONFIG_FILE).read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    sessions = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["sessions"]
    run = Run(
        folder,
        hide_paths(text),
        _command(sessions[0]["command"]),
        int(sessions[0]["seed"]),
        tuple(dict.fromkeys(_commit(one["environment"]) for one in sessions)),
        sessions[0]["environment"],
        tuple(rendering(root) for root in _roots(config, folder)),
    )
    start = _start(config, folder)
    return ([] if start is None else read_lineage(start)) + [run]


def run_folder(checkpoint: Path) -> Path:
    """The folder of the run that wrote ``checkpoint``: the nearest above it with a run.json."""
    for folder in checkpoint.parents:
        if (folder / RUN_FILE).is_file() and (folder / CONFIG_FILE).is_file():
            return folder
    raise ValueError(
        f"{checkpoint} lies in no run: no folder above it holds {RUN_FILE} and {CONFIG_FILE}, which tell how it was "
        "trained. Give the checkpoint where the run left it, such as runs/finetune/best"
    )


def rendering(root: Path) -> str:
    """The command that renders the data set in ``root`` again."""
    try:
        told = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
        if told["renderer"] != RENDERER:
            raise ValueError(f"its renderer is {told['renderer']!r}")
        height, width = told["image_size"]
        parts = [f"python -m {RENDERER} --out {hide_paths(str(root))}"]
        for name in Request._fields:
            if name in told and name != "image_size":
                parts.append(f"--{name.replace('_', '-')} {told[name]}")
        parts.append(f"--image-size {height} {width}")
        return f"{' '.join(parts)}  # renderer {told['version']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{root} holds no data set that {RENDERER} rendered ({error}). The zoo ships no weights that learned from "
            "images of real people. If it is the renderer's, run this where the paths of the run's config.yaml lead"
        ) from error


def hide_paths(text: str) -> str:
    """``text`` without the folders of the machine that it was written on."""
    return _PATH.sub(lambda match: _short(match.group(0)), text)


def _short(path: str) -> str:
    _, within, rest = path.rpartition("/examples/")
    if within:
        return f"examples/{rest}"
    parts = Path(path).parts
    of_a_run = parts[-1] == "best" or parts[-1].startswith("step")
    return "/".join(parts[-2:] if of_a_run and len(parts) > 2 else parts[-1:])


def _command(command: str) -> str:
    _, script, *arguments = shlex.split(command)
    module = _short(script).removesuffix(".py").replace("/", ".")
    return f"python -m {module} {hide_paths(shlex.join(arguments))}".strip()


def _commit(environment: Mapping[str, Any]) -> str:
    commit = environment.get("commit")
    if commit is None:
        return "not known"
    return f"{commit}+changes" if environment.get("dirty") else str(commit)


def _roots(config: Mapping[str, Any], folder: Path) -> List[Path]:
    data: Dict[str, Any] = config.get("data") or {}
    single = data.get("root")
    if single and single != "???":
        return [Path(single)]
    roots = (data.get("roots") or {}).values()
    if not roots:
        raise ValueError(
            f"{folder / CONFIG_FILE} names no data set under data.root or data.roots, so it is not known what the run "
            "learned from"
        )
    return [Path(root) for root in roots]


def _start(config: Mapping[str, Any], folder: Path) -> Optional[Path]:
    """The checkpoint that a run started from; None if from random weights."""
    if config.get("pretrained"):
        return Path(config["pretrained"])
    weights = str((config.get("model") or {}).get("weights") or "random")
    if weights == "random":
        return None
    kind, _, path = weights.partition(":")
    if kind != "vtbr":
        raise ValueError(
            f"{folder} started from the weights {weights!r}, which learned from images that are not this library's; "
            "the zoo ships only what learned from rendered pedestrians"
        )
    return Path(path)
