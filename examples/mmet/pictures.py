# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The picture of a pretraining: masked input beside its reconstruction."""

from pathlib import Path
from typing import Any, List, Sequence

import torch
from torch import Tensor
from torchmultimodal_reid.architectures.mmet_pretraining import (
    MMETForPretraining,
    MMETPretrainingOutput,
)
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import PersonDataset
from torchmultimodal_reid.data.sample import expand_captions, PersonImage
from torchmultimodal_reid.evaluation.figures.canvas import save_figure
from torchmultimodal_reid.evaluation.figures.reconstruction import draw_reconstructions
from torchmultimodal_reid.models.saved import ModelDescription
from torchmultimodal_reid.modules.masking.targets import PixelTargets
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import EvalImageTransform, Normalize
from torchmultimodal_reid.transforms.tokenizer import CONTINUATION, WordPieceTokenizer
from torchmultimodal_reid.utils.seeding import generator_for


@torch.no_grad()
def draw_reconstruction(
    model: MMETForPretraining,
    images: Sequence[PersonImage],
    description: ModelDescription,
    tokenizer: WordPieceTokenizer,
    path: Path,
    count: int = 8,
) -> Path:
    """Masked images and captions beside what a pretrained model completes them to, written to ``path``.

    Args:
        model (MMETForPretraining): One that predicts pixels.
        images (Sequence[PersonImage]): Images with captions, not trained on.
        description (ModelDescription): Of the model.
        tokenizer (WordPieceTokenizer): The model's.
        path (Path): The picture.
        count (int): Columns. Default: 8.
    """
    model.eval()
    shown = expand_captions(
        image._replace(captions=image.captions[:1])
        for image in images[:: max(1, len(images) // count)]
    )
    dataset = PersonDataset(
        shown[:count],
        EvalImageTransform(description.image_size),
        CaptionTransform(tokenizer, description.max_text_length),
    )
    batch = Collate(tokenizer.pad_id)([dataset[i] for i in range(len(dataset))])
    device = next(model.parameters()).device
    batch = batch.to(device)
    normalize = Normalize(description.mean, description.std).to(device)
    assert batch.image is not None and batch.text is not None
    image = normalize(batch.image)
    mmet, targets = model.mmet, model.image_targets
    mask = mmet.draw_mask(image, batch.text, generator_for("reconstruction"))
    output: MMETPretrainingOutput = model(
        image, batch.text, batch.text_padding, identity=batch.identity, mask=mask
    )
    assert isinstance(targets, PixelTargets)
    assert output.mmm_image is not None
    assert mask.masked_patches is not None and mask.masked_tokens is not None
    patches = targets(image)
    patches[mask.masked_patches] = output.mmm_image.prediction.float()
    restored = targets.to_image(targets.denormalize(patches, image), mmet.grid)
    # without a head for words the masked ones stay masked
    completed = batch.text.masked_fill(mask.masked_tokens, tokenizer.mask_id)
    if output.mmm_text is not None:
        completed[mask.masked_tokens] = output.mmm_text.prediction.argmax(1)
    figure = draw_reconstructions(
        batch.image.cpu(),
        (normalize.inverse(restored).float() / 255).cpu(),
        mask.masked_patches.cpu(),
        description.arguments["patch_size"],
        captions=[
            completed_caption(tokenizer, *row)
            for row in zip(batch.text, completed, mask.masked_tokens)
        ],
        title="What is hidden, and what the model completes: [its word], [its word / the right one]",
    )
    return save_figure(figure, path)


def completed_caption(
    tokenizer: WordPieceTokenizer, text: Tensor, completed: Tensor, masked: Tensor
) -> str:
    """A caption with the words that a model completed in brackets, and what was there where it was another word.

    Args:
        tokenizer (WordPieceTokenizer): Of both texts.
        text (Tensor): The caption's tokens, of shape ``(s,)``.
        completed (Tensor): The same with the model's tokens where they were masked.
        masked (Tensor): bool of the same shape.
    """
    # each word as it was, as it is, and whether any of it was masked
    words: List[List[Any]] = []
    rows = zip(text.tolist(), completed.tolist(), masked.tolist())
    for token, now, is_masked in rows:
        if token in tokenizer.special_ids:
            continue
        was, is_ = (
            tokenizer.tokens[each].removeprefix(CONTINUATION) for each in (token, now)
        )
        if tokenizer.tokens[token].startswith(CONTINUATION) and words:
            words[-1][0] += was
            words[-1][1] += is_
            words[-1][2] |= is_masked
        else:
            words.append([was, is_, is_masked])
    return " ".join(
        was if not is_masked else f"[{is_}]" if was == is_ else f"[{is_} / {was}]"
        for was, is_, is_masked in words
    )
