# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from pathlib import Path
from typing import List

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torchmultimodal_reid.evaluation.figures import canvas
from torchmultimodal_reid.evaluation.figures.canvas import (
    RIGHT,
    save_figure,
    to_pixels,
    WRONG,
)
from torchmultimodal_reid.evaluation.figures.cmc import draw_cmc
from torchmultimodal_reid.evaluation.figures.ranked_list import (
    draw_ranked_lists,
    fit_text,
    RankedQuery,
    RankedResult,
)
from torchmultimodal_reid.evaluation.figures.reconstruction import draw_reconstructions
from torchmultimodal_reid.evaluation.ranking import RankingMetrics

IMAGE = torch.full((3, 16, 8), 128, dtype=torch.uint8)
METRICS = RankingMetrics(0.5, 0.4, 0.3, torch.tensor([0.25, 0.5, 1.0]), None, 4, 4)


def pixels(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]


def count(figure: Figure, color: str) -> int:
    wanted = np.round(np.array(to_rgb(color)) * 255)
    return int((np.abs(pixels(figure) - wanted).max(axis=2) <= 1).sum())


def texts(figure: Figure) -> List[str]:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
    return found


def texts_of(axes: Axes) -> List[str]:
    return [text.get_text() for text in axes.texts]


@pytest.fixture(autouse=True)
def few_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "DPI", 60)


@pytest.mark.parametrize("is_match", [True, False])
def test_frames_and_marks(is_match: bool) -> None:
    results = [RankedResult(IMAGE, is_match, "camera 3")] * 2
    figure = draw_ranked_lists([RankedQuery(results, image=IMAGE)])
    assert (count(figure, RIGHT) > 50) is is_match
    assert (count(figure, WRONG) > 50) is not is_match
    marks = [text for text in texts(figure) if text in "\u2713\u2717" and text]
    assert marks == (["\u2713"] if is_match else ["\u2717"]) * 2
    assert texts(figure).count("camera 3") == 2


def test_queries_of_all_kinds() -> None:
    result = [RankedResult(IMAGE, True)]
    figure = draw_ranked_lists(
        [
            RankedQuery(result, image=IMAGE, title="image"),
            RankedQuery(result, caption="a woman in red", title="text"),
            RankedQuery(result, IMAGE, "a man in blue", title="both"),
        ],
        title="All",
    )
    written = texts(figure)
    for text in ("All", "image", "text", "both", "a woman in red", "a man in blue"):
        assert text in written
    # three results and two query images
    assert sum(len(axes.images) for axes in figure.axes) == 5


def test_a_caption_begins_in_its_corner() -> None:
    figure = draw_ranked_lists([RankedQuery([RankedResult(IMAGE, True)], caption="a")])
    (box,) = [axes for axes in figure.axes if texts_of(axes) == ["a"]]
    across, up = box.texts[0].get_position()
    assert 0 < across < 0.1 and 0.9 < up < 1


def test_long_captions_are_wrapped_and_cut() -> None:
    short, size = fit_text("a red coat", 2, 1)
    assert short == "a red coat"
    long, smaller = fit_text("word " * 400, 2, 1)
    assert smaller < size
    assert long.endswith("\u2026")
    lines = long.split("\n")
    assert len(lines) > 5 and len(lines) * smaller / 72 <= 1


def test_bad_ranked_lists() -> None:
    with pytest.raises(ValueError, match="at least one query"):
        draw_ranked_lists([])
    with pytest.raises(ValueError, match="query 1 must have an image, a caption"):
        result = [RankedResult(IMAGE, True)]
        draw_ranked_lists([RankedQuery(result, IMAGE), RankedQuery(result)])
    with pytest.raises(ValueError, match="query 0 must have at least one result"):
        draw_ranked_lists([RankedQuery([], IMAGE)])


def test_cmc() -> None:
    figure = draw_cmc({"image query": METRICS}, references={"chance": METRICS})
    curve, reference = figure.axes[0].get_lines()
    assert curve.get_xdata().tolist() == [1, 2, 3]  # type: ignore[union-attr]
    assert curve.get_ydata().tolist() == [0.25, 0.5, 1.0]  # type: ignore[union-attr]
    assert curve.get_linestyle() == "-" and reference.get_linestyle() == "--"
    legend = figure.axes[0].get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["image query\nrank-1 25.0%", "chance\nrank-1 25.0%"]
    with pytest.raises(ValueError, match="at least one result"):
        draw_cmc({})


def test_reconstruction_shows_predictions_where_patches_were_hidden() -> None:
    original = torch.zeros(2, 3, 16, 8)
    original[:, 0] = 1.0  # red
    prediction = torch.zeros(2, 3, 16, 8)
    prediction[:, 2] = 1.0  # blue
    masked = torch.zeros(2, 8, dtype=torch.bool)
    masked[0, 3] = True  # second row, second column of a grid of 4 x 2
    figure = draw_reconstructions(original, prediction, masked, 4, captions=["a", "b"])
    shown = [
        np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images
    ]
    assert len(shown) == 6
    for number, hidden in ((2, (0.55, 0.55, 0.55)), (4, (0.0, 0.0, 1.0))):
        np.testing.assert_allclose(
            shown[number][4:8, 4:8], np.broadcast_to(hidden, (4, 4, 3)), rtol=1e-6
        )
        np.testing.assert_array_equal(shown[number][:4], shown[0][:4])
        np.testing.assert_array_equal(shown[number][4:8, :4], shown[0][4:8, :4])
        np.testing.assert_array_equal(shown[number + 1], shown[1])
    assert {"original", "masked input", "reconstruction", "a", "b"} <= set(
        texts(figure)
    )


def test_a_title_takes_room_above_reconstructions() -> None:
    images = torch.zeros(2, 3, 16, 8)
    masked = torch.zeros(2, 8, dtype=torch.bool)
    heights = [
        draw_reconstructions(images, images, masked, 4, title=title).get_size_inches()
        for title in (None, "hidden and found")
    ]
    assert heights[1][1] - heights[0][1] == pytest.approx(0.35)
    assert heights[1][0] == heights[0][0]


def test_captions_hang_below_the_columns_of_reconstructions() -> None:
    images = torch.zeros(2, 3, 16, 8)
    masked = torch.zeros(2, 8, dtype=torch.bool)
    figure = draw_reconstructions(images, images, masked, 4, captions=["a", "b"])
    columns = [axes.get_position() for axes in figure.axes if axes.images]
    written = [axes for axes in figure.axes if set(texts_of(axes)) & {"a", "b"}]
    assert [texts_of(axes) for axes in written] == [["a"], ["b"]]
    for axes, column in zip(written, columns):
        place = axes.get_position()
        assert (place.x0, place.width) == (column.x0, column.width)
        assert place.y1 < min(box.y0 for box in columns)
        (text,) = axes.texts
        assert text.get_position() == (0, 1) and text.get_va() == "top"


def test_bad_reconstructions() -> None:
    images = torch.zeros(2, 3, 16, 8)
    with pytest.raises(ValueError, match=r"masked_patches must have shape \(2, 8\)"):
        draw_reconstructions(images, images, torch.zeros(2, 7, dtype=torch.bool), 4)
    with pytest.raises(ValueError, match="must have one shape"):
        draw_reconstructions(images, images[:1], torch.zeros(2, 8).bool(), 4)
    with pytest.raises(ValueError, match="each of 2 images, got 1"):
        draw_reconstructions(
            images, images, torch.zeros(2, 8).bool(), 4, captions=["a"]
        )


def test_pixels() -> None:
    assert to_pixels(IMAGE).shape == (16, 8, 3)
    assert to_pixels(torch.full((3, 1, 1), 1.5)).max() == 1.0
    with pytest.raises(ValueError, match=r"shape \(3, h, w\), got \(1, 2, 2\)"):
        to_pixels(torch.zeros(1, 2, 2))
    with pytest.raises(ValueError, match="uint8 or floating, got torch.int64"):
        to_pixels(torch.zeros(3, 2, 2).long())


def test_save(tmp_path: Path) -> None:
    path = save_figure(draw_cmc({"a": METRICS}), tmp_path / "new" / "cmc.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(ValueError):
        save_figure(draw_cmc({"a": METRICS}), tmp_path / "new" / "cmc.nonsense")
    assert list(path.parent.iterdir()) == [path]
