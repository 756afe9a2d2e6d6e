# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The whole of MMET on a small world: render, pretrain, fine-tune, evaluate on a seen and on an unseen domain.

    python -m examples.demo

Each step is a command that is printed before it runs, so that it can be copied and changed.
"""

import time
from pathlib import Path
from typing import Any, Dict, List

from examples.common.demonstration import (
    close,
    parse,
    percent_table,
    read_results,
    render,
    run,
)

CONFIGS = "examples/mmet/configs"
# the arguments of the two domains; the target has other cameras, other light, other fashion, and other people
DOMAINS = {
    "source": "--identities 1000 --test-identities 100 --images-per-camera 2 --domain 0 --seed 0",
    "target": "--identities 102 --test-identities 100 --images-per-camera 2 --domain 1 --seed 1",
}


def summary(results: Dict[str, List[Dict[str, Any]]]) -> str:
    """One line for each kind of query, and for chance and the oracle, in all domains."""
    lines = {rows[0]["name"]: rows for rows in zip(*results.values())}
    return percent_table(lines, list(results))


def main() -> None:
    started = time.monotonic()
    datasets, runs = parse("python -m examples.demo", __doc__, Path("datasets"), "demo")
    render(datasets, DOMAINS)
    root = f"data.root={datasets / 'source'}"
    pretrained, finetuned = runs / "pretrain", runs / "finetune"
    run(
        "examples.mmet.pretrain",
        f"--config={CONFIGS}/demo_pretrain.yaml",
        root,
        f"output={pretrained}",
    )
    run(
        "examples.mmet.finetune",
        f"--config={CONFIGS}/demo_finetune.yaml",
        root,
        f"pretrained={pretrained / 'best'}",
        f"output={finetuned}",
    )
    for name in DOMAINS:
        run(
            "examples.mmet.evaluate",
            f"checkpoint={finetuned / 'best'}",
            f"data.root={datasets / name}",
            f"data.name={name}",
            f"output={runs / name}",
        )
    results = {name: read_results(runs / name / "results.json") for name in DOMAINS}
    print(
        "\nMMET on the synthetic pedestrians, in percent; trained on the source domain only\n"
    )
    print(summary(results))
    close(runs, started)


if __name__ == "__main__":
    main()
