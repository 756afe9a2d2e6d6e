# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from pathlib import Path

from torchmultimodal_reid.data.registry import DATASETS
from torchmultimodal_reid.evaluation.protocols import PROTOCOLS
from torchmultimodal_reid.evaluation.protocols_page import protocols_page
from torchmultimodal_reid.evaluation.training_protocols import (
    FORMS,
    get_training_protocol,
)


def test_page_is_up_to_date():
    page = Path(__file__).parents[2] / "docs" / "protocols.md"
    assert (
        page.read_text(encoding="utf-8") == protocols_page()
    ), "run python -m torchmultimodal_reid.evaluation.protocols_page > docs/protocols.md"


def test_page_has_every_protocol():
    names = [
        line.split("`")[1]
        for line in protocols_page().splitlines()
        if line.startswith("| `")
    ]
    assert len(names) == len(set(names)) and set(PROTOCOLS) < set(names)
    # each form of name, by itself or for some data set
    assert {form.partition(":")[0] for form in FORMS} == {
        name.partition(":")[0] for name in names if name not in PROTOCOLS
    }
    for name in names:
        if name not in PROTOCOLS and name not in ("supervised:A", "A-to-B"):
            assert get_training_protocol(name, tuple(DATASETS)).name == name
