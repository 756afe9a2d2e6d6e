# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What benchmarks share: sizes, synthetic features, time and memory, and what is written of them."""

import json
import time
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Optional, Tuple

import torch
from torch import Tensor
from torchmultimodal_reid.utils.atomic import write_file_atomically
from torchmultimodal_reid.utils.environment import environment_stamp

MIB = 2**20


class Size(NamedTuple):
    queries: int
    gallery: int
    dim: int
    identities: int
    cameras: int


SIZES = {
    "market": Size(3_368, 15_913, 2_048, 751, 6),
    "msmt17": Size(11_659, 82_161, 768, 3_060, 15),
}


class Rows(NamedTuple):
    features: Tensor
    identities: Tensor
    cameras: Tensor


def make_rows(count: int, size: Size, centers: Tensor, noise: float) -> Rows:
    """Rows of random identities under random cameras."""
    identities = torch.randint(size.identities, (count,)) + 1
    features = torch.empty(count, size.dim)
    for start in range(0, count, 4096):
        part = features[start : start + 4096]
        part.normal_().mul_(noise).add_(centers[identities[start : start + 4096] - 1])
    return Rows(features, identities, torch.randint(size.cameras, (count,)))


def timed(work: Callable[[], Any]) -> Tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def wait_for(device: torch.device) -> None:
    """Returns when the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def write_results(path: Optional[Path], results: Any) -> None:
    """Says which machine measured, and writes what it measured, the machine, commit and versions as JSON."""
    environment = environment_stamp()
    print(machine(environment))
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"results": results, "environment": environment}
    write_file_atomically(path, json.dumps(content, indent=2) + "\n")
    print(f"written: {path}")


def machine(environment: Mapping[str, Any]) -> str:
    """A line that says what numbers were measured on and with, from an ``environment_stamp``."""
    parts = [environment["processor"], f"{environment['threads']} threads"]
    parts += [name for name in environment["devices"] if name != "cpu"]
    parts.append(f"torch {environment['versions']['torch']}")
    if environment["commit"] is not None:
        changed = " with changes" if environment["dirty"] else ""
        parts.append(f"commit {environment['commit'][:10]}{changed}")
    return ", ".join(parts)


def resident(key: str) -> int:
    """``VmRSS`` (memory now) or ``VmHWM`` (most since the last reset) of this process, in bytes; 0 if not Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    line = next(text for text in status.read_text().splitlines() if key in text)
    return int(line.split()[1]) * 1024


def reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
