# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Pictures of an evaluation: ranked lists and CMC curves."""

from pathlib import Path
from typing import List, Sequence

from examples.common.retrieval_features import RetrievalFeatures
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.evaluation.figures.canvas import save_figure
from torchmultimodal_reid.evaluation.figures.cmc import draw_cmc
from torchmultimodal_reid.evaluation.figures.ranked_list import (
    draw_ranked_lists,
    RankedQuery,
    RankedResult,
)
from torchmultimodal_reid.evaluation.report import ResultRow

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
    curves = {row.name: row.metrics for row in rows if " query" in row.name}
    references = {row.name: row.metrics for row in rows if row.name not in curves}
    return [
        save_figure(ranked, folder / "ranked_lists.png"),
        save_figure(
            draw_cmc(curves, references=references, title=name), folder / "cmc.png"
        ),
    ]


def _spread_rows(features: RetrievalFeatures, count: int) -> List[int]:
    """Rows of image queries, evenly spread, among those that have a caption if any has."""
    images = _sources(features)
    rows = [row for row, image in enumerate(images) if image.captions] or list(
        range(len(images))
    )
    return [rows[(2 * i + 1) * len(rows) // (2 * count)] for i in range(count)]


def _sources(features: RetrievalFeatures) -> Sequence[PersonImage]:
    """The images that queries of every kind come from."""
    kinds = features.query_images
    return kinds["image"] if "image" in kinds else next(iter(kinds.values()))


def _ranked_query(
    features: RetrievalFeatures, kind: str, image_row: int
) -> RankedQuery:
    source = _sources(features)[image_row]
    # a caption query's row is that of the image's first caption
    row = next(
        i
        for i, image in enumerate(features.query_images[kind])
        if image.path == source.path
    )
    query, gallery = features.query[kind], features.gallery
    similarity = gallery.embedding @ query.embedding[row]
    if features.protocols[kind].drops_matches:
        dropped = (gallery.identity == query.identity[row]) & (
            gallery.camera == query.camera[row]
        )
        similarity = similarity.masked_fill(dropped, float("-inf"))
    results = [
        RankedResult(
            read_image(features.gallery_images[i].path, SHOWN_SIZE),
            bool(gallery.identity[i] == query.identity[row]),
            f"camera {features.gallery_images[i].camera + 1}",
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
