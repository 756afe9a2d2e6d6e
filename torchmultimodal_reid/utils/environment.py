# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import torch
import torchmultimodal_reid

PACKAGES = (
    "torch",
    "torchvision",
    "torchmultimodal-nightly",
    "fvcore",
    "tokenizers",
    "safetensors",
    "numpy",
    "pillow",
    "accelerate",
    "omegaconf",
)


def environment_stamp() -> Dict[str, Any]:
    """What a result was made with: versions, the source's commit and whether it was altered, and the devices.

    Returns:
        Dict[str, Any]: What JSON can hold. ``commit`` and ``dirty`` are ``None`` where the source is no git checkout.
    """
    commit = _git("rev-parse", "HEAD")
    changes = (
        None
        if commit is None
        else _git("status", "--porcelain", "--untracked-files=no")
    )
    return {
        "commit": commit,
        "dirty": None if changes is None else bool(changes),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {
            name: version
            for name in PACKAGES
            if (version := _version(name)) is not None
        },
        "devices": [
            torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
        ]
        or ["cpu"],
        "processor": _processor(),
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """The processor's name, the cores that there are, and its instructions for products in bfloat16."""
    name, flags = platform.processor() or platform.machine(), ""
    description = Path("/proc/cpuinfo")
    if description.is_file():
        lines = description.read_text().splitlines()
        # every core says the same; processors that are not x86 name fewer of these
        fields = dict(
            re.split(r"\s*:\s*", line, maxsplit=1) for line in lines if ":" in line
        )
        name, flags = fields.get("model name", name), fields.get("flags", "")
    halves = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags.split()]
    return ", ".join([name, f"{os.cpu_count()} cores", *halves])


def _version(package: str) -> Optional[str]:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> Optional[str]:
    source = Path(torchmultimodal_reid.__file__)
    # an installed copy may lie inside another project's checkout, whose commit says nothing about this source
    tracked = _run_git(["ls-files", "--error-unmatch", source.name], source.parent)
    return None if tracked is None else _run_git(arguments, source.parent)


def _run_git(arguments: Sequence[str], folder: Path) -> Optional[str]:
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
