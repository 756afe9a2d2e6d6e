# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Pretraining steps measured on this machine's processor, by the time of one core, whatever else the machine does."""

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, List, Tuple

import torch
from benchmarks.cost_estimate import OPERATIONS
from benchmarks.measuring import reset_peak, resident
from benchmarks.training_loads import (
    each_apart,
    forward,
    kept_bytes,
    Load,
    mmet_load,
    multiply_adds,
    vtbr_load,
)
from PIL import Image
from tabulate import tabulate
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.modules.layers.attention_kernel import attention_kernel
from torchmultimodal_reid.transforms.image import TrainImageTransform

KERNEL = partial(attention_kernel, torch.device("cpu"))  # as the recipes train
SAMPLES = 4  # a step
TURNS = 5
SIDE = 2048  # of the matrices whose product the steps are compared with
IMAGES = 40  # that are read and augmented


def measured_table(mmet_tokens: int, vtbr_tokens: int) -> str:
    """Speed of a step beside a product of matrices, and memory beside what the cost model says of it, as Markdown."""
    jobs: List[Tuple[str, Callable[[], Load]]] = [
        ("MMET, replace", partial(mmet_load, "replace", "paired", mmet_tokens)),
        ("MMET, drop", partial(mmet_load, "drop", "paired", mmet_tokens)),
        ("VTBR", partial(vtbr_load, vtbr_tokens)),
    ]
    headers = ["step of", "samples/s", "GFLOP/s", "of a matrix product's"]
    headers += ["GB above the model, as counted", "measured"]
    rows = each_apart(measure, jobs)
    others = [
        ("images that it reads and augments in a second", f"{loader_rate():,.0f}"),
        ("torch", torch.__version__),
    ]
    tables = [(rows, headers), (others, ["the same core", ""])]
    return "\n\n".join(
        tabulate(lines, names, tablefmt="github", disable_numparse=True)
        for lines, names in tables
    )


def measure(name: str, make: Callable[[], Load]) -> Tuple[str, ...]:
    """A row of the table; times are those of one core, so that other programs do not count."""
    torch.set_num_threads(1)
    load = make()
    batch = load.make_batch(SAMPLES)
    matrix = torch.randn(SIDE, SIDE, dtype=torch.bfloat16)
    before = resident("VmRSS")
    reset_peak()
    turns = []
    for _ in range(TURNS + 1):
        own = processor_seconds(lambda: forward(load, batch, KERNEL).backward())
        load.model.zero_grad()
        turns.append((own, processor_seconds(lambda: matrix @ matrix)))
    peak = resident("VmHWM") - before
    operations = OPERATIONS * multiply_adds(load) * SAMPLES
    gradients = 4 * sum(parameter.numel() for parameter in load.model.parameters())
    counted = gradients + kept_bytes(load, kernel=KERNEL) * SAMPLES
    # the first allocates
    took = statistics.median(own for own, _ in turns[1:])
    share = statistics.median(
        operations / own / (2 * SIDE**3 / product) for own, product in turns[1:]
    )
    return (
        name,
        f"{SAMPLES / took:.2f}",
        f"{operations / took / 1e9:.0f}",
        f"{share:.0%}",
        f"{counted / 1e9:.2f}",
        f"{peak / 1e9:.2f}",
    )


def processor_seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def loader_rate() -> float:
    """Images of 300 x 150 pixels that one core reads and augments in a second, to 256 x 128."""
    torch.set_num_threads(1)
    transform = TrainImageTransform((256, 128))
    generator = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.jpg" for number in range(IMAGES)]
        for path in paths:
            small = torch.randint(256, (15, 8, 3), generator=generator)
            picture = Image.fromarray(small.byte().numpy())
            picture.resize((150, 300), Image.Resampling.BICUBIC).save(path)

        def read_all() -> None:
            for path in paths:
                transform(read_image(str(path), (256, 128)), generator)

        read_all()
        return IMAGES / processor_seconds(read_all)
