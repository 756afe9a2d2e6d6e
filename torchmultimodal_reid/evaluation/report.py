# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import os
import platform
import subprocess
import tempfile
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Union

import torch
from tabulate import tabulate
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.protocols import EvaluationProtocol
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics

FORMAT_VERSION = 1
SHOWN_RANKS = (1, 5, 10)


class ResultRow(NamedTuple):
    """One line of a table of results."""

    name: str  # such as "image query", "chance"
    protocol: EvaluationProtocol
    metrics: RankingMetrics
    # what was done beyond the protocol, such as {"re_rank": {"k1": 20, ...}}
    ranking: Optional[Mapping[str, Any]] = None
    # of a mean: standard deviation of mAP, mAP_trapezoid, rank1 and mINP over what it is the mean of
    deviation: Optional[Mapping[str, float]] = None


def format_table(rows: Sequence[ResultRow], title: Optional[str] = None) -> str:
    """Results in percent as aligned plain text, for a terminal; means with their standard deviation after a "±".

    Args:
        rows (Sequence[ResultRow]): One line each.
        title (Optional[str]): Line above the table. Default: ``None``
    """
    header = ["", "mAP", *(f"rank-{rank}" for rank in SHOWN_RANKS), "mINP", "queries"]
    lines = []
    for row in rows:
        metrics = row.metrics
        shares = [
            reported_map(row),
            *(_at_rank(metrics, rank) for rank in SHOWN_RANKS),
            metrics.mINP,
        ]
        cells = [*map(_percent, shares)]
        for place, name in ((0, _map_name(row)), (1, "rank1"), (-1, "mINP")):
            if name is not None and row.deviation and name in row.deviation:
                cells[place] += f" ± {_percent(row.deviation[name])}"
        asked, valid = metrics.num_queries, metrics.num_valid_queries
        queries = str(valid) if valid == asked else f"{valid} of {asked}"
        lines.append([row.name, *cells, queries])
    table = tabulate(
        lines,
        headers=header,
        disable_numparse=True,
        colalign=("left", *["right"] * (len(header) - 1)),
    )
    return table if title is None else f"{title}\n{table}"


def reported_map(row: ResultRow) -> float:
    """The mAP of the variant that the row's protocol asks for; NaN where it defines none."""
    name = _map_name(row)
    return float("nan") if name is None else float(getattr(row.metrics, name))


def _map_name(row: ResultRow) -> Optional[str]:
    names = {"hits": "mAP", "trapezoid": "mAP_trapezoid", "none": None}
    return names[row.protocol.average_precision]


def _at_rank(metrics: RankingMetrics, rank: int) -> float:
    # a curve that was cut before this rank says nothing about it
    return float(metrics.cmc[rank - 1]) if rank <= len(metrics.cmc) else float("nan")


def _percent(share: float) -> str:
    return "-" if share != share else f"{100 * share:.1f}"


def count_rows(query: Features, gallery: Features) -> Dict[str, int]:
    """Counts of queries and gallery, for the report."""
    counts = {}
    for name, features in (("query", query), ("gallery", gallery)):
        counts[f"{name}_rows"] = len(features.identity)
        counts[f"{name}_identities"] = len(features.identity.unique())
        counts[f"{name}_cameras"] = len(features.camera.unique())
    return counts


def build_report(
    rows: Sequence[ResultRow],
    *,
    dataset: str,
    counts: Mapping[str, Any],
    seed: Optional[int] = None,
    extra: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    """Results with all that is needed to know what they are worth, ready for JSON.

    Args:
        rows (Sequence[ResultRow]): The results. Shares in 0..1.
        dataset (str): Name of the data set.
        counts (Mapping[str, Any]): The data set's counts, such as from :func:`count_rows`, or those of several by name.
        seed (Optional[int]): Seed of the run. Default: ``None``
        extra (Optional[Mapping[str, Any]]): More to keep, under the key ``"extra"``. Default: ``None``
    """
    results = []
    for row in rows:
        metrics = row.metrics._asdict()
        metrics["cmc"] = row.metrics.cmc.tolist()
        result = {
            "name": row.name,
            "protocol": asdict(row.protocol),
            "metrics": metrics,
        }
        if row.ranking is not None:
            result["ranking"] = dict(row.ranking)
        if row.deviation is not None:
            result["deviation"] = dict(row.deviation)
        results.append(result)
    return {
        "format": FORMAT_VERSION,
        "dataset": dataset,
        "counts": dict(counts),
        "results": results,
        "seed": seed,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "versions": versions(),
        "extra": dict(extra or {}),
    }


def versions() -> Dict[str, Optional[str]]:
    """Versions of Python and of the packages that the numbers depend on; None for what is not installed."""
    found: Dict[str, Optional[str]] = {"python": platform.python_version()}
    names = {
        "torchmultimodal_reid": ("torchmultimodal_reid",),
        "torch": ("torch",),
        "torchvision": ("torchvision",),
        "torchmultimodal": ("torchmultimodal-nightly", "torchmultimodal"),
        "numpy": ("numpy",),
    }
    for name, distributions in names.items():
        found[name] = next(filter(None, map(_version, distributions)), None)
    # the build's suffix, which metadata may lack, tells the CUDA version
    found["torch"] = torch.__version__
    return found


def _version(distribution: str) -> Optional[str]:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def source_commit() -> Optional[str]:
    """The commit that this library runs from, with ``+changes`` if its files were edited since; None outside of git."""
    here = Path(__file__).resolve()

    def git(*arguments: str) -> Optional[str]:
        command = ["git", "-C", str(here.parent), *arguments]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    # an installed copy may lie inside some other project's repository
    if git("ls-files", "--error-unmatch", here.name) is None:
        return None
    commit = git("rev-parse", "HEAD")
    changes = git("status", "--porcelain", "--untracked-files=no")
    return f"{commit}+changes" if commit and changes else commit


def write_report(
    path: Union[str, "os.PathLike[str]"], report: Mapping[str, Any]
) -> Path:
    """Writes a report as JSON: whole or not at all.

    Args:
        path (Union[str, os.PathLike[str]]): File to write; folders are made.
        report (Mapping[str, Any]): From :func:`build_report`.

    Returns:
        Path: The file.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # serialised before a file is opened, so that an error leaves nothing behind
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return target
