# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Pictures of a run: ranked lists, CMC curves, masked input beside its reconstruction."""

from pathlib import Path
from typing import List, Sequence, Tuple

import torch
from examples.mmet.retrieval import QUERY_KINDS, RetrievalFeatures
from torch import Tensor
from torchmultimodal_reid.architectures.mmet_pretraining import (
    MMETForPretraining,
    MMETPretrainingOutput,
)
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import PersonDataset
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.data.sample import expand_captions, PersonImage
from torchmultimodal_reid.evaluation.figures.canvas import save_figure
from torchmultimodal_reid.evaluation.figures.cmc import draw_cmc
from torchmultimodal_reid.evaluation.figures.ranked_list import (
    draw_ranked_lists,
    RankedQuery,
    RankedResult,
)
from torchmultimodal_reid.evaluation.figures.reconstruction import draw_reconstructions
from torchmultimodal_reid.evaluation.protocols import get_protocol
from torchmultimodal_reid.evaluation.report import ResultRow
from torchmultimodal_reid.models.saved import ModelDescription
from torchmultimodal_reid.modules.masking.targets import PixelTargets
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import EvalImageTransform, Normalize
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.seeding import generator_for

TOP = 8  # images in a ranked list
SHOWN_SIZE = (128, 64)  # pixels of an image in a ranked list


def draw_pictures(
    features: RetrievalFeatures,
    rows: Sequence[ResultRow],
    folder: Path,
    name: str,
    num_people: int = 2,
) -> List[Path]:
    """Ranked lists and CMC curves of an evaluation, written into ``folder``.

    Args:
        features (RetrievalFeatures): What was ranked.
        rows (Sequence[ResultRow]): The table; rows of queries are drawn as curves, the others as references.
        folder (Path): Where the pictures go.
        name (str): The data set's name, for the headings.
        num_people (int): People whose queries are shown, spread over the query set. Default: 2.
    """
    lists = []
    people = _spread_rows(features, num_people)
    for row in people:
        for kind in features.query:
            lists.append(_ranked_query(features, kind, row))
    ranked = draw_ranked_lists(
        lists, title=f"{name}: the first {TOP} of {len(features.gallery_images)} images"
    )
    curves = {row.name: row.metrics for row in rows if row.name.endswith("query")}
    references = {
        row.name: row.metrics for row in rows if not row.name.endswith("query")
    }
    return [
        save_figure(ranked, folder / "ranked_lists.png"),
        save_figure(
            draw_cmc(curves, references=references, title=name), folder / "cmc.png"
        ),
    ]


def _spread_rows(features: RetrievalFeatures, count: int) -> List[int]:
    """Rows of image queries, evenly spread, among those that have a caption if any has."""
    images = features.query_images["image"]
    rows = [row for row, image in enumerate(images) if image.captions] or list(
        range(len(images))
    )
    return [rows[(2 * i + 1) * len(rows) // (2 * count)] for i in range(count)]


def _ranked_query(
    features: RetrievalFeatures, kind: str, image_row: int
) -> RankedQuery:
    source = features.query_images["image"][image_row]
    # a caption query's row is that of the image's first caption
    row = next(
        i
        for i, image in enumerate(features.query_images[kind])
        if image.path == source.path
    )
    query, gallery = features.query[kind], features.gallery
    similarity = gallery.embedding @ query.embedding[row]
    if get_protocol(QUERY_KINDS[kind]).camera_filter:
        dropped = (gallery.identity == query.identity[row]) & (
            gallery.camera == query.camera[row]
        )
        similarity = similarity.masked_fill(dropped, float("-inf"))
    results = [
        RankedResult(
            read_image(features.gallery_images[i].path, SHOWN_SIZE),
            bool(gallery.identity[i] == query.identity[row]),
            f"camera {int(gallery.camera[i]) + 1}",
        )
        for i in similarity.topk(min(TOP, len(similarity))).indices.tolist()
    ]
    return RankedQuery(
        results,
        image=read_image(source.path, SHOWN_SIZE) if "image" in kind else None,
        caption=(
            features.query_images[kind][row].captions[0] if "text" in kind else None
        ),
        title=f"{kind} query",
    )


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
