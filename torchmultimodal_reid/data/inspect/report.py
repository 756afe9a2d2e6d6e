# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

from tabulate import tabulate
from torchmultimodal_reid.data.inspect.findings import Finding


class Report(NamedTuple):
    """What an inspection found.

    Args:
        name (str): Name of the data set.
        root (str): The folder.
        parts (Mapping[str, Mapping[str, Any]]): Counts by part, as ``count_part`` makes them; ``all`` is all together.
        published (Mapping[str, Any]): Published ``PartCounts`` by part, where there are some.
        findings (Tuple[Finding, ...]): What was found, the worst first.
    """

    name: str
    root: str
    parts: Mapping[str, Mapping[str, Any]]
    published: Mapping[str, Any]
    findings: Tuple[Finding, ...]

    @property
    def fit(self) -> bool:
        """Whether the data are fit for training: nothing of severity "error" was found."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_json(self) -> str:
        """The report as JSON."""
        content = {
            "name": self.name,
            "root": self.root,
            "fit_for_training": self.fit,
            "parts": self.parts,
            "published": {
                part: dict(counts._asdict()) for part, counts in self.published.items()
            },
            "findings": [finding._asdict() for finding in self.findings],
        }
        return json.dumps(content, indent=2, ensure_ascii=False)

    def to_text(self) -> str:
        """The report as tables and lines for people."""
        lines = [f"{self.name} at {self.root}", "", self._table(), ""]
        for part, counts in self.parts.items():
            if part != "all" and counts["images"]:
                lines.append(
                    f"{part}: identities per camera {_pairs(counts['identities_per_camera'])}; "
                    f"captions per image {_pairs(counts['images_by_captions'])}"
                )
        lines.append("")
        for finding in self.findings:
            lines.append(f"{finding.severity}: {finding.number:,} {finding.text}")
            lines += [f"    {example}" for example in finding.examples]
            if finding.number > len(finding.examples):
                lines.append(f"    and {finding.number - len(finding.examples):,} more")
        verdict = "fit for training" if self.fit else "NOT fit for training"
        return "\n".join([*lines, verdict])

    def _table(self) -> str:
        rows: List[List[str]] = []
        fields = ("identities", "images", "cameras", "captions")
        for part, counts in self.parts.items():
            published = self.published.get(part)
            rows.append(
                [part, *(_beside(counts[field], published, field) for field in fields)]
            )
        return tabulate(rows, headers=["part", *fields], disable_numparse=True)


def _beside(count: int, published: Any, field: str) -> str:
    expected = getattr(published, field, None)
    if expected is None:
        return f"{count:,}"
    return (
        f"{count:,} (published {expected:,}{'' if count == expected else ', differs'})"
    )


def _pairs(counts: Dict[str, int], limit: int = 20) -> str:
    pairs = [f"{key}: {count:,}" for key, count in list(counts.items())[:limit]]
    return ", ".join(pairs) + (", ..." if len(counts) > limit else "")
