# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Beam search with a key-value cache beside one that computes every token again at each step.

    python -m benchmarks.decoding                    # 30 steps, 5 beams, 16 images, the paper's base setting
    python -m benchmarks.decoding --d-model 512 --n-head 8 --json decoding.json

Both searches are the same code and get the same images, by turns in one process; the CNN, which runs once for either,
is counted in neither. The uncached one computes its output layer at the last token only. The end of a caption is
forbidden, so that both take all steps.
"""

import argparse
import platform
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import torch
from benchmarks.measuring import write_results
from tabulate import tabulate
from torch import nn, Tensor
from torchmultimodal_reid.architectures.captioner import BidirectionalCaptioner
from torchmultimodal_reid.generation.beam_search import BeamSearch
from torchmultimodal_reid.generation.cached_steps import CachedSteps
from torchmultimodal_reid.generation.protocols import Generated, NextToken, TokenIds
from torchmultimodal_reid.models.vtbr import vtbr

IDS = TokenIds(start=2, end=3)


class UncachedSteps:
    """The same as :class:`CachedSteps`, from the whole caption so far at each step."""

    def __init__(self, model: BidirectionalCaptioner, image: Tensor) -> None:
        self.model = model
        self.grid = model.encode_image(image)
        self.text = torch.empty(len(image), 0, dtype=torch.long)

    def __call__(self, tokens: Tensor, parents: Optional[Tensor]) -> Tensor:
        if parents is not None:
            self.text = self.text[parents]
        self.text = torch.cat([self.text, tokens.unsqueeze(1)], dim=1)
        grid = self.grid.repeat_interleave(len(self.text) // len(self.grid), dim=0)
        hidden = self.model.forward_decoder(self.model.embedding(self.text), grid)
        return self.model.output(hidden[:, -1])


def build(arguments: argparse.Namespace) -> BidirectionalCaptioner:
    torch.manual_seed(0)
    model = vtbr(
        max_text_length=max(40, arguments.steps + 1),
        d_model=arguments.d_model,
        n_head=arguments.n_head,
        n_layer=arguments.n_layer,
        dim_feedforward=4 * arguments.d_model,
        backward=False,
    )
    model.visual = nn.Identity()  # the feature map is given
    with torch.no_grad():
        assert isinstance(model.output, nn.Linear)
        model.output.bias[IDS.end] = -1e4
    return model.eval()


def timed(
    steps: NextToken, search: BeamSearch, images: int, length: int
) -> Tuple[float, Generated]:
    start = time.perf_counter()
    found = search(steps, images, IDS, length)
    return time.perf_counter() - start, found


@torch.no_grad()
def measure(arguments: argparse.Namespace) -> Dict[str, object]:
    model = build(arguments)
    features = torch.randn(arguments.images, 2048, *arguments.grid)
    search = BeamSearch(arguments.beams)
    kinds = {"cached": CachedSteps, "uncached": UncachedSteps}
    seconds: Dict[str, List[float]] = {name: [] for name in kinds}
    found: Dict[str, Generated] = {}
    for kind in kinds.values():  # start threads, page in libraries
        search(kind(model, features), arguments.images, IDS, 3)
    for _ in range(arguments.repeats):
        for name, kind in kinds.items():
            taken, found[name] = timed(
                kind(model, features), search, arguments.images, arguments.steps
            )
            seconds[name].append(taken)
    torch.testing.assert_close(
        found["cached"].scores, found["uncached"].scores, rtol=1e-4, atol=1e-3
    )
    best = {name: min(values) for name, values in seconds.items()}
    return {
        **{key: value for key, value in vars(arguments).items() if key != "json"},
        "seconds": seconds,
        "ratio": best["uncached"] / best["cached"],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": platform.processor() or platform.machine(),
        "precision": "float32",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--d-model", type=int, default=1024)
    parser.add_argument("--n-head", type=int, default=16)
    parser.add_argument("--n-layer", type=int, default=1)
    parser.add_argument("--grid", type=int, nargs=2, default=(8, 4), help="256x128")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None, help="file to write")
    arguments = parser.parse_args()
    result = measure(arguments)
    seconds: Dict[str, List[float]] = result["seconds"]  # type: ignore[assignment]
    rows = [[name, f"{min(values):.2f}"] for name, values in seconds.items()]
    print(tabulate(rows, ["beam search", "best s"], disable_numparse=True))
    print(f"cached is {result['ratio']:.1f}x as fast, on {result['threads']} threads")
    write_results(arguments.json, result)


if __name__ == "__main__":
    main()
