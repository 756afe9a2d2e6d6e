# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The table of models on the page of the zoo: ``python -m examples.zoo.page`` writes it into ``docs/zoo.md``."""

import re
from pathlib import Path

from torchmultimodal_reid.models.zoo import CARD, zoo_models
from torchmultimodal_reid.utils.atomic import write_file_atomically

PAGE = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"
_TABLE = re.compile(r"(<!-- models -->\n).*?(<!-- end of models -->)", flags=re.DOTALL)
_NONE = "None yet: the weights are trained once the recipes stand still.\n"


def table() -> str:
    """The shipped models, each with a link to its card."""
    models = zoo_models().values()
    if not models:
        return _NONE
    lines = ["| name | what it is | MB |", "|---|---|---|"]
    for model in models:
        card = f"../torchmultimodal_reid/weights/{model.name}/{CARD}"
        size = f"{model.num_bytes / 1e6:.1f}"
        lines.append(f"| [`{model.name}`]({card}) | {model.summary} | {size} |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """The text of the page with the table of now."""
    return _TABLE.sub(lambda match: match.group(1) + table() + match.group(2), page)


def write_page() -> None:
    """Brings ``docs/zoo.md`` up to date."""
    write_file_atomically(PAGE, with_table(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    write_page()
