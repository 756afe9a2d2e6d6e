# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Where images, captions and pairs of both lie in the space in which they search for each other."""

from typing import Dict, List

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.figures.canvas import FAINT, INK, new_figure

# kind of query -> marker, its size and its name, in the order in which they are drawn: an image lies upon the pair
# that it is part of
KINDS = {
    "image+text": ("s", 42, "both"),
    "text": ("^", 26, "caption"),
    "image": ("o", 11, "image"),
}
# Okabe and Ito's colours and two more, one a person
PALE = "#d9d9d9"
PEOPLE = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#d55e00",
    "#56b4e9",
    "#8c6d31",
    "#7b4ea3",
)


def project(embedding: Tensor, seed: int = 0) -> np.ndarray:
    """t-SNE (https://jmlr.org/papers/v9/vandermaaten08a.html) of the rows' cosine distances, by scikit-learn.

    Args:
        embedding (Tensor): Shape ``(n, d)``.
        seed (int): Of its draws. Default: 0

    Returns:
        np.ndarray: Places in the plane, ``(n, 2)``.
    """
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(embedding) - 1) / 3)
    plane = TSNE(
        metric="cosine", init="pca", perplexity=perplexity, random_state=seed, n_jobs=1
    )
    return plane.fit_transform(embedding.float().numpy())


def people_to_color(features: Dict[str, Features], count: int) -> List[int]:
    """Identities that every kind of query shows, evenly spread."""
    sets = [set(rows.identity.tolist()) for rows in features.values()]
    shared = sorted(set.intersection(*sets))
    count = min(count, len(shared))
    return [shared[(2 * i + 1) * len(shared) // (2 * count)] for i in range(count)]


def draw_embeddings(features: Dict[str, Features], name: str) -> Figure:
    """The picture of ``docs/images/embeddings.png``.

    Args:
        features (Dict[str, Features]): Of the queries, by kind: "image", "text", "image+text".
        name (str): Of the data set, for the heading.
    """
    rows = [features[kind] for kind in KINDS]
    places = project(torch.cat([part.embedding for part in rows]))
    parts = np.split(places, np.cumsum([len(part.embedding) for part in rows])[:-1])
    figure = new_figure(7.2, 5.2)
    axes = figure.add_axes((0.02, 0.02, 0.77, 0.9))
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color("#dddddd")
    shown = people_to_color(features, len(PEOPLE))
    for layer, ((marker, size, label), part, place) in enumerate(
        zip(KINDS.values(), rows, parts), start=3
    ):
        axes.scatter(*place.T, s=size / 4, marker=marker, color=PALE, linewidths=0)
        axes.scatter([], [], s=30, marker=marker, color=FAINT, label=label)
        for color, person in zip(PEOPLE, shown):
            own = place[(part.identity == person).numpy()]
            axes.scatter(*own.T, s=size, **_look(marker, color), zorder=layer)
    for number, color in enumerate(PEOPLE[: len(shown)], start=1):
        axes.scatter([], [], s=30, marker="D", color=color, label=f"person {number}")
    axes.scatter([], [], s=12, color=PALE, label="all others")
    axes.legend(
        loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9
    )
    axes.set_title(
        f"{name}: queries by image, by caption and by both, t-SNE of one space",
        loc="left",
        fontsize=10.5,
        color=INK,
    )
    return figure


def _look(marker: str, color: str) -> Dict[str, object]:
    return {"marker": marker, "color": color, "edgecolors": "white", "linewidths": 0.5}
