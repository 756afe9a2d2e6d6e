# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
from typing import Any, Dict, List, Mapping, NamedTuple

import torch
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.evaluation.protocols import EvaluationProtocol
from torchmultimodal_reid.evaluation.query_ranks import RankingMetrics
from torchmultimodal_reid.evaluation.report import FORMAT_VERSION, ResultRow


class SavedReport(NamedTuple):
    """A ``results.json`` that was read back."""

    path: str
    rows: List[ResultRow]
    content: Dict[str, Any]  # all of it

    @property
    def extra(self) -> Mapping[str, Any]:
        """What the evaluation said beside its results."""
        return self.content["extra"]


def read_report(path: str) -> SavedReport:
    """Reads what ``write_report`` wrote.

    Raises:
        DataError: If the file is missing or is no report of this format.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise DataError(
            f"{path}: the file cannot be read ({error.strerror})"
        ) from error
    except ValueError as error:
        raise DataError(f"{path}: no report of results: {error}") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT_VERSION:
        raise DataError(
            f"{path}: no report of results of format {FORMAT_VERSION}, its format is {found!r}; evaluate again"
        )
    try:
        rows = [_row(result) for result in content["results"]]
        if not isinstance(content["extra"], dict):
            raise TypeError("extra is no object")
        return SavedReport(path, rows, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: a report that is cut short or altered ({type(error).__name__}: {error}); evaluate again"
        ) from error


def _row(result: Mapping[str, Any]) -> ResultRow:
    metrics = dict(result["metrics"])
    metrics["cmc"] = torch.tensor(metrics["cmc"], dtype=torch.float64)
    if metrics["tpr_at_fpr"] is not None:  # JSON's keys are text
        rates = metrics["tpr_at_fpr"].items()
        metrics["tpr_at_fpr"] = {float(rate): share for rate, share in rates}
    return ResultRow(
        result["name"],
        EvaluationProtocol(**result["protocol"]),
        RankingMetrics(**metrics),
        result.get("ranking"),
        result.get("deviation"),
    )
