# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Writes captions of images with a pretrained VTBR (https://arxiv.org/abs/2110.05074).

python -m examples.vtbr.caption checkpoint=runs/vtbr/best images=[datasets/source/query] output=runs/captions
"""

import json
import textwrap
from pathlib import Path
from typing import List, Optional, Sequence

import torch
from examples.common.config import load_config
from examples.common.distributed import make_accelerator
from examples.common.evaluation import check_output
from examples.common.main import run_main
from examples.vtbr.pretrain_definitions import CaptionConfig
from tabulate import tabulate
from torchmultimodal_reid.data.caption_images import EXTENSIONS
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.evaluation.figures.canvas import save_figure
from torchmultimodal_reid.evaluation.figures.captioned import draw_captions
from torchmultimodal_reid.generation.beam_search import BeamSearch
from torchmultimodal_reid.generation.protocols import Search
from torchmultimodal_reid.generation.sampling import Greedy, NucleusSampling
from torchmultimodal_reid.models.saved_vtbr import load_captioner
from torchmultimodal_reid.utils.atomic import write_file_atomically

LINE = 90  # letters of a caption in a line of the table


def find_images(names: Sequence[str]) -> List[Path]:
    """The files, and the images that lie in the folders, in order.

    Raises:
        DataError: If a name is neither, or a folder has no image.
    """
    found: List[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in EXTENSIONS)
            if not inside:
                raise DataError(
                    f"{path} has no image; expected files ending in {', '.join(EXTENSIONS)}"
                )
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"there is no image or folder {path}")
    return found


def build_search(config: CaptionConfig, device: torch.device) -> Search:
    """The search that a configuration asks for."""
    if config.search == "greedy":
        return Greedy(config.no_repeat_ngram)
    if config.search == "beam":
        return BeamSearch(
            config.beam_size,
            config.length_penalty,
            no_repeat_ngram=config.no_repeat_ngram,
        )
    return NucleusSampling(
        config.top_p,
        no_repeat_ngram=config.no_repeat_ngram,
        generator=torch.Generator(device).manual_seed(config.seed),
    )


def main(argv: Optional[list] = None) -> None:
    config, _ = load_config(
        CaptionConfig, argv, prog="python -m examples.vtbr.caption", description=__doc__
    )
    device = make_accelerator().device
    output = check_output(config.output)
    paths = find_images(config.images)
    captioner = load_captioner(config.checkpoint, config.batch_size)
    captioner.model.to(device)
    written = captioner.write(paths, build_search(config, device))

    output.mkdir(parents=True, exist_ok=True)
    records = [
        {"file_path": str(path), "caption": best.text, "log_prob": best.log_prob}
        for path, (best, *_) in zip(paths, written)
    ]
    write_file_atomically(
        output / "captions.json", json.dumps(records, indent=1, ensure_ascii=False)
    )
    shown = range(0, len(paths), -(-len(paths) // config.shown))
    rows = [
        [paths[i].name, textwrap.fill(written[i][0].text, LINE), written[i][0].log_prob]
        for i in shown
    ]
    print(tabulate(rows, ["image", "caption", "log-probability"], floatfmt=".1f"))
    if len(rows) < len(paths):
        print(f"{len(rows)} of {len(paths)} images are shown")
    figure = draw_captions(
        [read_image(str(paths[i]), captioner.transform.image_size) for i in shown],
        [written[i][0].text for i in shown],
    )
    print(f"written: {output / 'captions.json'}")
    print(f"written: {save_figure(figure, output / 'captions.png')}")


if __name__ == "__main__":
    run_main(main)
