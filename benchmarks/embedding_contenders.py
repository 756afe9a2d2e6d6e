# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The models whose embedding is timed, with random weights, and the ways to run them."""

from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import torch
from torch import nn, Tensor
from torchmultimodal_reid.architectures.captioner import BidirectionalCaptioner
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.export.towers import ImageTower, TextTower, Tower
from torchmultimodal_reid.export.write import onnx_runner, write_tower
from torchmultimodal_reid.generation.cached_steps import CachedSteps
from torchmultimodal_reid.generation.protocols import TokenIds
from torchmultimodal_reid.generation.sampling import Greedy
from torchmultimodal_reid.models.mmet import mmet_base, mmet_for_reid, mmet_tiny
from torchmultimodal_reid.models.reid_baseline import reid_baseline
from torchmultimodal_reid.models.vtbr import vtbr_r50
from torchmultimodal_reid.transforms.image import Normalize

IDENTITIES = 751
PAD, FIRST_WORD = 0, 5  # ids below have other uses
IDS = TokenIds(start=2, end=3)
WAYS = ("eager", "compiled", "exported")
TOLERANCE = 1e-3  # of an embedding, whose length is 1; kernels add in other orders


class Job(NamedTuple):
    """What is timed of a model: one kind of rows."""

    model: str
    rows: str  # what goes in, or is written
    module: nn.Module
    make_inputs: Callable[[int], Tuple[Tensor, ...]]  # of so many rows
    tower: Any  # what is exported; None where nothing can be


class CaptionWriter(nn.Module):
    """Images to captions of one length, the likeliest token at each step; the end is forbidden.

    Args:
        model (BidirectionalCaptioner): The model.
        length (int): Tokens of a caption.

    Inputs:
        image (Tensor): uint8 of shape ``(b, 3, h, w)``.

    Returns:
        Tensor: Token ids of shape ``(b, length)``.
    """

    def __init__(self, model: BidirectionalCaptioner, length: int) -> None:
        super().__init__()
        self.model = model
        self.normalize = Normalize()
        self.length = length
        with torch.no_grad():
            assert isinstance(model.output, nn.Linear)
            model.output.bias[IDS.end] = -1e4

    def forward(self, image: Tensor) -> Tensor:
        steps = CachedSteps(self.model, self.normalize(image))
        return Greedy()(steps, len(image), IDS, self.length).tokens[:, 0]


def mmet_jobs(
    name: str, model: MMET, size: Tuple[int, int], vocab_size: int, words: int
) -> List[Job]:
    """An MMET's images and captions; of these, all are of as many tokens."""
    whole = mmet_for_reid(model, num_identities=IDENTITIES)
    towers = (
        Tower("image", ImageTower(whole, Normalize()), ("image",), size, 0, 0),
        Tower("text", TextTower(whole, PAD), ("text",), size, vocab_size, words),
    )

    def texts(count: int) -> Tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(0)
        shape = (count, words)
        return (torch.randint(FIRST_WORD, vocab_size, shape, generator=generator),)

    image, text = towers
    return [
        Job(name, "images", image.module.eval(), lambda n: image.example(n, 0), image),
        Job(name, "captions", text.module.eval(), texts, text),
    ]


def demo_jobs() -> List[Job]:
    """The MMET of ``make demo``."""
    size, vocab_size, words = (128, 64), 600, 30
    model = mmet_tiny(image_size=size, vocab_size=vocab_size, max_text_length=48)
    return mmet_jobs("MMET of the demo", model, size, vocab_size, words)


def base_jobs() -> List[Job]:
    """MMET at FLAVA-base's sizes."""
    return mmet_jobs("mmet_base", mmet_base(), (256, 128), 30522, 42)


def baseline_jobs() -> List[Job]:
    """A ResNet-50 with a BNNeck."""
    module = ImageTower(reid_baseline(num_identities=IDENTITIES), Normalize()).eval()
    tower = Tower("image", module, ("image",), (256, 128), 0, 0)
    name = "reid_baseline, ResNet-50"
    return [Job(name, "images", module, lambda n: tower.example(n, 0), tower)]


def captioner_jobs() -> List[Job]:
    """VTBR writing captions of 30 tokens; they are written one by one, which no graph holds."""
    model = vtbr_r50(backward=False)
    tower = Tower("image", model, ("image",), (256, 128), 0, 0)
    writer = CaptionWriter(model, length=30).eval()
    name = "vtbr_r50, captions of 30 tokens"
    return [Job(name, "captions", writer, lambda n: tower.example(n, 0), None)]


MODELS: Dict[str, Callable[[], List[Job]]] = {
    "demo": demo_jobs,
    "base": base_jobs,
    "baseline": baseline_jobs,
    "captioner": captioner_jobs,
}


def ways_of(
    job: Job, ways: Sequence[str], device: torch.device, folder: Path, backend: str
) -> Dict[str, Callable[..., Tensor]]:
    """The ways that there are for a job, as functions of its inputs on the device.

    Args:
        job (Job): What is timed.
        ways (Sequence[str]): Of :data:`WAYS`. A captioner has the eager one alone; onnxruntime runs on CPUs here.
        device (torch.device): Where to compute.
        folder (Path): Where graphs are written.
        backend (str): Of ``torch.compile``.
    """
    found: Dict[str, Callable[..., Tensor]] = {}
    if "exported" in ways and job.tower is not None and device.type == "cpu":
        write_tower(job.tower, folder, ["onnx"])
        found["exported"] = onnx_runner(folder / f"{job.tower.name}.onnx")
    module = job.module.to(device)
    if "eager" in ways:
        found["eager"] = module
    if "compiled" in ways and job.tower is not None:
        found["compiled"] = torch.compile(module, backend=backend)
    return {way: found[way] for way in ways if way in found}


def check_same(found: Dict[str, Tensor]) -> None:
    """Raises a RuntimeError unless all ways gave the same, within rounding.

    Args:
        found (Dict[str, Tensor]): Embeddings of the same rows by way.
    """
    (first, expected), *others = found.items()
    for way, rows in others:
        difference = (rows.float() - expected.float()).abs().max().item()
        if not difference <= TOLERANCE:
            raise RuntimeError(
                f"{way} gives embeddings that differ from those of {first} by {difference:.2g}, more than "
                f"{TOLERANCE:.0e}: nothing was measured"
            )
