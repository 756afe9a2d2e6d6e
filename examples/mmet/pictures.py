# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The picture of a pretraining: masked input beside its reconstruction."""

from pathlib import Path
from typing import List, Sequence, Tuple

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
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
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
    assert isinstance(targets, PixelTargets) and output.mmm_image is not None
    assert mask.masked_patches is not None and mask.masked_tokens is not None
    patches = targets(image)
    patches[mask.masked_patches] = output.mmm_image.prediction.float()
    restored = targets.to_image(targets.denormalize(patches, image), mmet.grid)
    figure = draw_reconstructions(
        batch.image.cpu(),
        (normalize.inverse(restored).float() / 255).cpu(),
        mask.masked_patches.cpu(),
        description.arguments["patch_size"],
        captions=[
            _masked_caption(tokenizer, *row)
            for row in zip(batch.text, mask.masked_tokens)
        ],
        title="Masked multimodal modelling: what the model sees, and what it completes",
    )
    return save_figure(figure, path)


def _masked_caption(tokenizer: WordPieceTokenizer, text: Tensor, masked: Tensor) -> str:
    pieces: List[Tuple[str, bool]] = []
    for token, is_masked in zip(text.tolist(), masked.tolist()):
        if token in tokenizer.special_ids:
            continue
        piece = tokenizer.tokens[token]
        if piece.startswith("##") and pieces:
            pieces[-1] = (pieces[-1][0] + piece[2:], pieces[-1][1] or is_masked)
        else:
            pieces.append((piece, is_masked))
    return " ".join("___" if is_masked else word for word, is_masked in pieces)
