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

import argparse
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Dict, List, Tuple

from examples.demo import read_results, run
from tabulate import tabulate

CONFIGS = "examples/vtbr/configs"
# captions are learned in one domain, people in another; nothing is learned in the third. Each has its own cameras,
# light, fashion and people
DOMAINS = {
    "captions": "--identities 612 --test-identities 12 --domain 0 --seed 0",
    "seen": "--identities 300 --test-identities 150 --domain 1 --seed 1",
    "unseen": "--identities 102 --test-identities 100 --domain 2 --seed 2",
}
WORLD = "--cameras 6 --images-per-camera 2 --image-size 128 64"
TESTED = ("seen", "unseen")


def render(datasets: Path) -> None:
    """Renders the three domains."""
    for name, arguments in DOMAINS.items():
        run(
            "torchmultimodal_reid.data.synthetic",
            f"--out {datasets / name} {arguments} {WORLD}",
        )


def summary(results: Dict[str, Dict[str, List[Dict[str, Any]]]]) -> str:
    """One line for each start: mAP, rank-1 and mINP in percent of image queries in each domain; and what chance gives.

    Args:
        results (Dict[str, Dict[str, List[Dict[str, Any]]]]): Start -> domain -> rows of a results.json.
    """

    def line(title: str, name: str, of: Dict[str, List[Dict[str, Any]]]) -> List[str]:
        cells = [title]
        for rows in of.values():
            metrics = next(row["metrics"] for row in rows if row["name"] == name)
            values = (metrics["mAP"], metrics["cmc"][0], metrics["mINP"])
            cells += [f"{100 * value:.1f}" for value in values]
        return cells

    lines = [line(f"from {start}", "image query", of) for start, of in results.items()]
    first = next(iter(results.values()))
    lines.append(line("chance", "chance", first))
    header = [""] + [
        f"{domain} {name}" for domain in first for name in ("mAP", "rank-1", "mINP")
    ]
    return tabulate(
        lines,
        header,
        disable_numparse=True,
        colalign=["left"] + ["right"] * (len(header) - 1),
    )


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


def parse() -> Tuple[Path, Path]:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo_vtbr", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--datasets",
        type=Path,
        default=Path("datasets") / "vtbr",
        help="where the rendered domains go",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        help="where the runs go, each into a new folder",
    )
    arguments = parser.parse_args()
    stamp = datetime.now().strftime("demo-vtbr-%Y%m%d-%H%M%S")
    return arguments.datasets, arguments.runs / stamp


def main() -> None:
    started = time.monotonic()
    datasets, runs = parse()
    render(datasets)
    pretrained = runs / "pretrain"
    run(
        "examples.vtbr.pretrain",
        f"--config {CONFIGS}/demo_pretrain.yaml data.root={datasets / 'captions'} output={pretrained}",
    )
    starts = {"random": "random", "VTBR": f"vtbr:{pretrained / 'best'}"}
    results: Dict[str, Dict[str, List[Dict[str, Any]]]] = {}
    for start, weights in starts.items():
        finetuned = runs / f"finetune-{start.lower()}"
        run(
            "examples.vtbr.finetune",
            f"--config {CONFIGS}/demo_finetune.yaml data.root={datasets / 'seen'} model.weights={weights} "
            f"output={finetuned}",
        )
        results[start] = {}
        for name in TESTED:
            output = runs / f"{name}-{start.lower()}"
            run(
                "examples.vtbr.evaluate",
                f"checkpoint={finetuned / 'best'} data.root={datasets / name} data.name={name} output={output}",
            )
            results[start][name] = read_results(output / "results.json")
    run(
        "examples.vtbr.caption",
        f"checkpoint={pretrained / 'best'} images=[{datasets / 'unseen' / 'query'}] output={runs / 'captions'} "
        "search=greedy shown=16",
    )
    print("\nCaptions of people of the first domain that were held out\n")
    print(best_captions(pretrained))
    print(
        "\nRe-identification by images, in percent; fine-tuned on the seen domain only\n"
    )
    print(summary(results))
    pictures = sorted(runs.rglob("*.png"))
    print("\npictures:", *(f"  {path}" for path in pictures), sep="\n")
    print(f"\n{time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    main()
