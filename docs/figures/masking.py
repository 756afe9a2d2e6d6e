# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What Masked Multimodal Modelling hides of a rendered pedestrian and of the caption."""

from typing import List, Tuple

import numpy as np
import torch
from docs.figures.drawing import Diagram, FAINT, INK, LOSS, PLAIN
from torchmultimodal_reid.data.synthetic.captions import write_captions
from torchmultimodal_reid.data.synthetic.render import render
from torchmultimodal_reid.modules.masking.patch_masking import (
    BlockPatchMasking,
    RandomPatchMasking,
)
from torchmultimodal_reid.modules.masking.token_masking import TokenMasking
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer

SIZE, PATCH = (256, 128), 16
GRID = (SIZE[0] // PATCH, SIZE[1] // PATCH)
RATIO = 0.4
PERSON, CAMERA = 17, 1


def pedestrian() -> Tuple[np.ndarray, List[str]]:
    """A rendered person and captions."""
    person, picture = render(0, 0, 6, PERSON, CAMERA, 0, SIZE)
    captions = write_captions(person, picture, 12, np.random.default_rng(0))
    return picture.pixels, [caption.text for caption in captions]


def hide(pixels: np.ndarray, masked: torch.Tensor) -> np.ndarray:
    """The image with its masked patches in grey."""
    rows = masked.view(GRID).repeat_interleave(PATCH, 0).repeat_interleave(PATCH, 1)
    hidden = pixels.copy()
    hidden[rows.numpy()] = 205
    return hidden


def show(diagram: Diagram, left: float, top: float, pixels: np.ndarray) -> None:
    """The image at a place, 1.5 x 3 inches."""
    diagram.axes.imshow(
        pixels,
        extent=(left, left + 1.5, top + 3, top),
        interpolation="bilinear",
        zorder=1,
    )


def draw() -> Diagram:
    """The picture of ``docs/images/masking.png``."""
    diagram = Diagram(9.6, 5.7)
    pixels, captions = pedestrian()
    generator = torch.Generator().manual_seed(3)
    panels = [("the image", pixels)]
    for name, masking in (
        ("single patches", RandomPatchMasking(RATIO)),
        ("blocks of patches", BlockPatchMasking(RATIO)),
    ):
        masked = masking(1, GRID, generator=generator)[0]
        title = f"{name}, {int(masked.sum())} of {masked.numel()}"
        panels.append((title, hide(pixels, masked)))
    for number, (title, panel) in enumerate(panels):
        left = 0.85 + 3.2 * number
        diagram.say(left + 0.75, 0.25, title)
        show(diagram, left, 0.45, panel)
    words(diagram, captions, generator)
    diagram.axes.set_xlim(0, 9.6)
    diagram.axes.set_ylim(5.7, 0)
    return diagram


def words(diagram: Diagram, captions: List[str], generator: torch.Generator) -> None:
    """Two rows of tokens: the caption, and what the model reads of it."""
    tokenizer = WordPieceTokenizer.train(captions, vocab_size=130)
    caption = min((text for text in captions if len(text) > 45), key=len)
    text = torch.tensor([tokenizer.encode(caption)])
    masking = TokenMasking(
        tokenizer.vocab_size,
        tokenizer.mask_id,
        tokenizer.special_ids,
        tokenizer.continuation,
        ratio=0.4,
    )
    out = masking(text, generator=generator)
    rows = [
        [tokenizer.tokens[token] for token in ids[0].tolist()]
        for ids in (text, out.masked_text)
    ]
    for top, title in ((3.95, "the caption"), (4.75, "what the model reads")):
        diagram.say(0.2, top - 0.16, title, color=FAINT, across="left", size=8.5)
    left = 0.2
    for one, other, chosen in zip(*rows, out.masked_tokens[0].tolist()):
        width = 0.14 + 0.07 * max(len(one), len(other))
        for top, piece in ((3.95, one), (4.75, other)):
            diagram.box(left, top, width, 0.3, piece, LOSS if chosen else PLAIN, 7.5)
        left += width + 0.04
    note = (
        "Pink: to be predicted, all pieces (##) of a word together. "
        "80 % of them become [MASK], 10 % another piece, 10 % stay, by chance."
    )
    diagram.say(0.2, 5.4, note, color=INK, across="left", size=8.5)
