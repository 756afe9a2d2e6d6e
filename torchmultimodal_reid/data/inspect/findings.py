# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Dict, List, NamedTuple, Tuple

EXAMPLES = 3

# severity of each finding; "error" means that training on the data, or a test of what was trained, would be worthless
SEVERITIES: Dict[str, str] = {
    "no_training_images": "error",
    "one_identity": "error",
    "broken_images": "error",
    "identities_in_train_and_test": "error",
    "no_query_has_a_match": "error",
    "empty_captions": "error",
    "queries_without_match": "warning",
    "duplicate_images": "warning",
    "duplicates_in_train_and_test": "warning",
    "duplicates_across_identities": "warning",
    "counts_differ": "warning",
    "captions_missing": "warning",
    "captions_shared_by_identities": "warning",
    "captions_without_attribute": "warning",
    "captions_cut_off": "warning",
    "captions_with_markup": "warning",
    "captions_with_sides": "note",
}


class Finding(NamedTuple):
    """One kind of thing that the inspection found.

    Args:
        name (str): Which kind, a key of ``SEVERITIES``.
        severity (str): ``"error"``, ``"warning"`` or ``"note"``.
        text (str): What it is, in a sentence.
        number (int): How often it was found.
        examples (Tuple[str, ...]): The first few.
    """

    name: str
    severity: str
    text: str
    number: int
    examples: Tuple[str, ...]


class Collector:
    """Counts what is found and keeps the first examples of each kind: memory does not grow with the findings."""

    def __init__(self, examples: int = EXAMPLES) -> None:
        self._limit = examples
        self._texts: Dict[str, str] = {}
        self._numbers: Dict[str, int] = {}
        self._examples: Dict[str, List[str]] = {}

    def add(self, name: str, text: str, example: str, number: int = 1) -> None:
        """Notes one more of a kind.

        Args:
            name (str): A key of ``SEVERITIES``.
            text (str): What it is, the same for all of the kind.
            example (str): This one.
            number (int): How many this is. Default: 1
        """
        self._texts[name] = text
        self._numbers[name] = self._numbers.get(name, 0) + number
        examples = self._examples.setdefault(name, [])
        if len(examples) < self._limit:
            examples.append(example)

    def findings(self) -> Tuple[Finding, ...]:
        """What was found, the worst first."""
        return tuple(
            Finding(
                name,
                severity,
                self._texts[name],
                self._numbers[name],
                tuple(self._examples[name]),
            )
            for name, severity in SEVERITIES.items()
            if name in self._texts
        )
