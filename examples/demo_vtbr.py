# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Shows VTBR from images to a table: render, pretrain on captions, transfer, fine-tune, evaluate, caption.

    make demo-vtbr
    python -m examples.demo_vtbr --datasets datasets/vtbr --runs runs

It takes minutes on two cores without a GPU. Each step is a command that is printed, and can be copied and changed.
"""

import json
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
from tabulate import tabulate

CONFIGS = "examples/vtbr/configs"
# captions are learned in one domain, people in another; nothing is learned in the third. Each has its own cameras,
# light, fashion and people. The captions are of many people, seen once by each camera: they tell the same of each
# picture of a person
DOMAINS = {
    "captions": (
        "--identities 1224 --test-identities 0 --images-per-camera 1 --caption-style complete --domain 0 --seed 0"
    ),
    "seen": "--identities 300 --test-identities 150 --images-per-camera 2 --domain 1 --seed 1",
    "unseen": "--identities 102 --test-identities 100 --images-per-camera 2 --domain 2 --seed 2",
}
TESTED = ("seen", "unseen")
SHARE = 0.3  # of the people to fine-tune on: the fewer there are, the more the start matters
Results = Dict[str, List[Dict[str, Any]]]  # domain -> rows of a results.json


def summary(results: Dict[str, Results]) -> str:
    """One line for each start: mAP, rank-1 and mINP in percent of image queries in each domain; and what chance gives.

    Args:
        results (Dict[str, Results]): By start.
    """

    def pick(name: str, domains: Results) -> List[Dict[str, Any]]:
        return [
            next(row for row in rows if row["name"] == name)
            for rows in domains.values()
        ]

    lines = {f"from {start}": pick("image query", of) for start, of in results.items()}
    first = next(iter(results.values()))
    lines["chance"] = pick("chance", first)
    return percent_table(lines, list(first))


def best_captions(run_folder: Path) -> str:
    """What the pretrained model's captions of held-out people were worth."""
    manifest = json.loads((run_folder / "best" / "checkpoint.json").read_text("utf-8"))
    best = manifest["metadata"]["best"]
    shown = ("forward_perplexity", "bleu4", "cider", "attributes")
    rows = [[name, f"{best[name]:.3f}"] for name in shown if name in best]
    rows += [
        [f"right about {name[len('right_') :]}", f"{100 * value:.0f} %"]
        for name, value in best.items()
        if name.startswith("right_")
    ]
    return tabulate(rows, disable_numparse=True, colalign=("left", "right"))


def main() -> None:
    started = time.monotonic()
    datasets, runs = parse(
        "python -m examples.demo_vtbr",
        __doc__,
        Path("datasets") / "vtbr",
        "demo-vtbr",
    )
    render(datasets, DOMAINS)
    pretrained = runs / "pretrain"
    run(
        "examples.vtbr.pretrain",
        f"--config={CONFIGS}/demo_pretrain.yaml",
        f"data.root={datasets / 'captions'}",
        "data.options.train_only=true",
        "epochs.run=4",
        f"output={pretrained}",
    )
    starts = {"random": "random", "VTBR": f"vtbr:{pretrained / 'best'}"}
    results: Dict[str, Results] = {}
    for start, weights in starts.items():
        finetuned = runs / f"finetune-{start.lower()}"
        run(
            "examples.vtbr.finetune",
            f"--config={CONFIGS}/demo_finetune.yaml",
            f"data.root={datasets / 'seen'}",
            f"model.weights={weights}",
            f"data.identity_share={SHARE}",
            f"output={finetuned}",
        )
        results[start] = {}
        for name in TESTED:
            output = runs / f"{name}-{start.lower()}"
            run(
                "examples.vtbr.evaluate",
                f"checkpoint={finetuned / 'best'}",
                f"data.root={datasets / name}",
                f"data.name={name}",
                f"output={output}",
            )
            results[start][name] = read_results(output / "results.json")
    run(
        "examples.vtbr.caption",
        f"checkpoint={pretrained / 'best'}",
        f"images=[{datasets / 'unseen' / 'query'}]",
        f"output={runs / 'captions'}",
        "search=greedy",
        "shown=16",
    )
    print("\nCaptions of people of the first domain that were held out\n")
    print(best_captions(pretrained))
    print(
        f"\nRe-identification by images, in percent; fine-tuned on {100 * SHARE:.0f} % of the seen domain's people\n"
    )
    print(summary(results))
    close(runs, started)


if __name__ == "__main__":
    main()
