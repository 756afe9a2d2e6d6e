# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Averages results of evaluations: of one model on several targets, or of several runs on one target.

python -m examples.common.average --over targets --output runs/p1_mean runs/viper/results.json runs/grid/results.json
python -m examples.common.average --over runs --output runs/mean runs/seed0/results.json runs/seed1/results.json
"""

import argparse
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from examples.common.main import run_main
from examples.common.selection import chosen_on_test_set, TEST_SET_WARNING
from torchmultimodal_reid.evaluation.averages import average_runs, average_targets
from torchmultimodal_reid.evaluation.report import (
    build_report,
    format_table,
    ResultRow,
    write_report,
)
from torchmultimodal_reid.evaluation.saved_report import read_report, SavedReport

TARGETS, RUNS = "targets", "runs"
# what a result says of where it came from, kept beside the mean
ORIGIN = ("dataset", "counts", "date", "commit", "versions")


def average_reports(reports: Sequence[SavedReport], over: str) -> List[ResultRow]:
    """The lines of each report under its name, and below them the means.

    Args:
        reports (Sequence[SavedReport]): At least two.
        over (str): ``"targets"``, of one model; or ``"runs"``, models of one kind on one target, such as those of
            several seeds or, where each split needs a model of its own, of several splits.

    Raises:
        ValueError: If they are not of one model, or of one kind of model and one target; under different rules; or if
            one is there twice.
    """
    if len(reports) < 2:
        raise ValueError(f"a mean needs at least two results, got {len(reports)}")
    for report in reports:
        if "model" not in report.extra or "options" not in report.extra:
            raise ValueError(
                f"{report.path} does not say of which model it is: an earlier release wrote it; evaluate again"
            )
    results = {_label(report, over): report.rows for report in reports}
    if over == TARGETS:
        _check_targets(reports)
        means = average_targets(results, {})
    else:
        splits = _check_runs(reports)
        means = average_runs(results, equal_sizes=not splits)
    if not means:
        raise ValueError(
            "the results have no line in common: "
            + "; ".join(
                f"{r.path} has {', '.join(row.name for row in r.rows)}" for r in reports
            )
        )
    rows = [
        row._replace(name=f"{label}: {row.name}")
        for label, lines in results.items()
        for row in lines
    ]
    return rows + means


def _label(report: SavedReport, over: str) -> str:
    return report.content["dataset"] if over == TARGETS else report.path


def _check_targets(reports: Sequence[SavedReport]) -> None:
    """Raises a ValueError unless these are results of one model on different targets."""
    _check_same(
        reports, "fingerprint of the model", lambda r: r.extra["model"]["fingerprint"]
    )
    _check_same(reports, "sources of data.protocol", _sources)
    _check_distinct(reports, "data set", lambda r: r.content["dataset"])
    _check_distinct(
        reports, "folder of the data set", lambda r: str(r.extra.get("root"))
    )


def _check_runs(reports: Sequence[SavedReport]) -> bool:
    """Whether these are results on different splits, rather than of different seeds on one.

    Raises:
        ValueError: Unless these are results of one kind of model on one target.
    """
    _check_same(
        reports, "kind of model", lambda r: _kind(r.extra["model"]["description"])
    )
    _check_same(reports, "data set", lambda r: r.content["dataset"])
    _check_same(reports, "data.protocol", lambda r: r.extra.get("training_protocol"))
    _check_same(reports, "hash of the splits", _hashes)
    _check_same(
        reports,
        "data.options but for the split",
        lambda r: {**r.extra["options"], "split": None},
    )
    _check_distinct(
        reports, "fingerprint of the model", lambda r: r.extra["model"]["fingerprint"]
    )
    splits = [r.extra["options"].get("split") for r in reports]
    if len({str(split) for split in splits}) == 1:
        _check_same(reports, "counts", lambda r: r.content["counts"])
        return False
    _check_distinct(reports, "split", lambda r: r.extra["options"].get("split"))
    return True


def _sources(report: SavedReport) -> Any:
    """What the model learned from, where the evaluation was of a protocol."""
    protocol = report.extra.get("training_protocol")
    return None if protocol is None else protocol["sources"]


def _kind(description: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """A model's description without what follows from whom it learned from."""
    kind = dict(description or {})
    arguments = dict(kind.get("arguments", {}))
    for name in ("num_identities", "tokenizer"):
        kind.pop(name, None)
    arguments.pop("vocab_size", None)
    return {**kind, "arguments": arguments}


def _hashes(report: SavedReport) -> Dict[str, str]:
    """SHA-256 of the splits of each target that has some."""
    splits = report.extra.get("splits") or {}
    return {n: one["stamp"]["sha256"] for n, one in splits.items() if "stamp" in one}


Ask = Callable[[SavedReport], Any]


def _check_same(reports: Sequence[SavedReport], what: str, ask: Ask) -> None:
    first = ask(reports[0])
    for report in reports[1:]:
        found = ask(report)
        if found != first:
            raise ValueError(
                f"{report.path} and {reports[0].path} differ in the {what}: {found} and {first}; their results have no "
                "mean"
            )


def _check_distinct(reports: Sequence[SavedReport], what: str, ask: Ask) -> None:
    seen: Dict[Any, str] = {}
    for report in reports:
        found = ask(report)
        if found in seen:
            raise ValueError(
                f"{report.path} and {seen[found]} have the same {what}, {found}; each may count once"
            )
        seen[found] = report.path


def main(argv: Optional[List[str]] = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m examples.common.average",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("results", nargs="+", help="results.json of an evaluation, two or more")
    add("--over", choices=(TARGETS, RUNS), required=True, help="what to average over")
    add("--output", required=True, help="folder for the results.json of the mean")
    arguments = parser.parse_args(argv)
    reports = [read_report(path) for path in arguments.results]
    rows = average_reports(reports, arguments.over)
    names = list(dict.fromkeys(r.content["dataset"] for r in reports))
    labels = [_label(report, arguments.over) for report in reports]
    origins = [
        {"file": r.path, **{key: r.content[key] for key in ORIGIN}, **r.extra}
        for r in reports
    ]
    report = build_report(
        rows,
        dataset=", ".join(names),
        counts={label: r.content["counts"] for label, r in zip(labels, reports)},
        extra={"averaged_over": arguments.over, "averaged": origins},
    )
    title = f"{', '.join(names)}: mean over {len(reports)} {arguments.over}"
    if any(chosen_on_test_set(r.extra["selection"]) for r in reports):
        title = f"{title}\n{TEST_SET_WARNING}"
    print(format_table(rows, title=title))
    written = write_report(Path(arguments.output) / "results.json", report)
    print(f"written: {written}")


if __name__ == "__main__":
    run_main(main)
