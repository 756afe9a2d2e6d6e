# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""VTBR's question asked of real people: captions of rendered pedestrians against ImageNet's labels, for one CNN.

    python -m benchmarks.vtbr_people --people ROOT --seeds 3
    python -m benchmarks.vtbr_people --people ROOT --identities 97 --domains 1 4 16 --imagenet mobilenet_v2.pth

``ROOT`` is a data set in Market-1501's layout; few of its identities are trained on (``--identities``), since with many
of them any start will do. Each of ``--domains`` is a pretraining on so many rendered domains, 6,000 images each, with
cameras, light, fashion and people of their own. Every fine-tuning has the same schedule and takes its last step.
A run that is there already is not made again, so the command can be stopped and given once more.
"""

import argparse
import csv
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

from benchmarks.measuring import write_results
from benchmarks.recipe_runs import spread
from benchmarks.vtbr_runs import finetune, image_metrics, pretrain
from examples.common.demonstration import run, WORLD
from tabulate import tabulate
from torchmultimodal_reid.data.registry import read_dataset

IDENTITIES = 1000  # of a rendered domain, each seen once by each of six cameras
IMAGES = 6 * IDENTITIES
# the demonstrations' domains and people have the lower numbers
FIRST_DOMAIN = 10
EPOCHS = 20  # of a fine-tuning


def render(datasets: Path, count: int) -> Path:
    """A table of the images and captions of the first ``count`` domains; what is missing is rendered."""
    table = datasets / f"domains-{count}.csv"
    rows: List[Sequence[Any]] = []
    for number in range(count):
        folder = datasets / f"domain-{number}"
        run(
            "torchmultimodal_reid.data.synthetic",
            f"--out={folder}",
            f"--identities={IDENTITIES}",
            "--test-identities=0",
            "--images-per-camera=1",
            "--captions-per-image=1",
            "--caption-style=complete",
            f"--domain={FIRST_DOMAIN + number}",
            f"--seed={FIRST_DOMAIN + number}",
            *WORLD.split(),
        )
        for image in read_dataset("market1501", str(folder), train_only=True).train:
            path = Path(image.path).relative_to(datasets)
            identity = number * (IDENTITIES + 1) + image.identity
            place = (path, identity, number * 6 + image.camera, "train")
            rows += [(*place, caption) for caption in image.captions]
    with open(table, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "identity", "camera", "split", "caption"))
        writer.writerows(rows)
    return table


class Start(NamedTuple):
    """Where fine-tunings start from."""

    title: str
    folder: str  # how their folders' names end
    weights: str  # model.weights


def starts(arguments: argparse.Namespace) -> List[Start]:
    """The starts to compare; those from captions are pretrained where they are not there."""
    found = [Start("random", "random", "random")]
    if arguments.imagenet != "none":
        found.append(Start("ImageNet", "imagenet", arguments.imagenet))
    for count in arguments.domains:
        name = f"vtbr-{count}"
        checkpoint = pretrain(
            arguments.output / f"pretrain-{name}",
            "data.dataset=custom",
            f"data.root={render(arguments.datasets, count)}",
            "data.validation_share=0.02",
            f"model.backbone={arguments.backbone}",
            f"epochs.run={arguments.epochs}",
            *arguments.pretrain_with,
        )
        found.append(
            Start(f"VTBR, {count * IMAGES:,} images", name, f"vtbr:{checkpoint}")
        )
    return found


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vtbr_people")
    add = parser.add_argument
    add("--people", type=Path, required=True, help="data set in Market-1501's layout")
    add("--name", default="people", help="what the results call it")
    add("--identities", type=int, default=97, help="of it to train on")
    add("--backbone", default="mobilenet_v2", help="a CNN of torchvision")
    add(
        "--imagenet",
        default="imagenet",
        help="file of its ImageNet weights; without it they are downloaded; none to leave them out",
    )
    add("--domains", type=int, nargs="+", default=[16], help="rendered, to learn from")
    add("--epochs", type=float, default=4, help="of each pretraining")
    add("--seeds", type=int, default=3, help="of the fine-tunings: 0, 1, ...")
    add("--datasets", type=Path, default=Path("datasets/vtbr-domains"))
    add("--output", type=Path, default=Path("runs/vtbr-people"))
    add(
        "--pretrain-with",
        nargs="+",
        default=[],
        metavar="key=value",
        help="changes of the pretraining's configuration, for a new --output",
    )
    return parser.parse_args()


def compare(
    arguments: argparse.Namespace, start: Start, share: float
) -> Dict[str, Any]:
    """mAP and rank-1 of every seed's fine-tuning from a start."""
    people = f"data.root={arguments.people}"
    found = []
    for seed in range(arguments.seeds):
        folder = arguments.output / f"seed{seed}-{start.folder}"
        changes = [
            people,
            "data.validation_share=0",
            f"data.identity_share={share}",
            f"model.backbone={arguments.backbone}",
            f"model.weights={start.weights}",
            f"epochs.run={EPOCHS}",
            "epochs.evaluate_every=0",
            f"seed={seed}",
        ]
        finetune(folder, changes, {arguments.name: [people]})
        found.append(image_metrics(folder / arguments.name))
    return {
        "start": start.title,
        "mAP": [metrics["mAP"] for metrics in found],
        "rank1": [metrics["cmc"][0] for metrics in found],
    }


def main() -> None:
    arguments = parse()
    images = read_dataset("market1501", str(arguments.people)).train
    there = len({image.identity for image in images})
    if arguments.identities > there:
        raise SystemExit(
            f"{arguments.people} has {there} training identities, {arguments.identities} were asked for"
        )
    arguments.datasets.mkdir(parents=True, exist_ok=True)
    share = arguments.identities / there
    results = [compare(arguments, start, share) for start in starts(arguments)]
    write_results(arguments.output / "results.json", results)
    print(f"\nin percent, mean of {arguments.seeds} seeds and standard deviation")
    print(table(results))


def table(results: Sequence[Dict[str, Any]]) -> str:
    lines = [
        [row["start"], *(spread(row[name]) for name in ("mAP", "rank1"))]
        for row in results
    ]
    return tabulate(lines, ["start", "mAP", "rank-1"], disable_numparse=True)


if __name__ == "__main__":
    main()
