# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import List

import pytest
import torch
from matplotlib.figure import Figure
from torchmultimodal_reid.evaluation.figures.canvas import FAINT, INK
from torchmultimodal_reid.evaluation.figures.captioned import draw_captions

IMAGE = torch.full((3, 16, 8), 128, dtype=torch.uint8)


def corners(figure: Figure, images: bool) -> List[List[float]]:
    """Left, top, width and height in inches of the images, or of the texts beside them."""
    width, height = figure.get_size_inches()
    found = []
    for axes in figure.axes:
        if bool(axes.images) is images:
            box = axes.get_position()
            place = (
                box.x0 * width,
                (1 - box.y1) * height,
                box.width * width,
                box.height * height,
            )
            found.append([round(float(side), 2) for side in place])
    return found


def test_rows_and_columns() -> None:
    figure = draw_captions([IMAGE] * 3, ["a", "b", "c"], columns=2)
    # a cell is 0.78 of image, 0.14 of gap, 2.3 of text and 0.14 again; images are twice as high as wide
    assert corners(figure, images=True) == [
        [0.2, 0.2, 0.78, 1.56],
        [3.56, 0.2, 0.78, 1.56],
        [0.2, 1.9, 0.78, 1.56],
    ]
    texts = [[1.12, 0.2, 2.3, 1.56], [4.48, 0.2, 2.3, 1.56], [1.12, 1.9, 2.3, 1.56]]
    assert corners(figure, images=False) == texts
    size = figure.get_size_inches().tolist()
    assert size == pytest.approx([0.4 + 2 * 3.36 - 0.14, 0.2 + 2 * 1.7 + 0.2])


def test_no_more_columns_than_images() -> None:
    width = draw_captions([IMAGE], ["a"]).get_size_inches()[0]
    assert width == pytest.approx(0.4 + 3.36 - 0.14)
    four = draw_captions([IMAGE] * 5, ["a"] * 5).get_size_inches()
    assert four[0] == pytest.approx(0.4 + 4 * 3.36 - 0.14)


def test_captions_and_fainter_references() -> None:
    figure = draw_captions(
        [IMAGE], ["a red $coat$"], references=["a coat"], title="Written"
    )
    said = {
        text.get_text(): text.get_color() for axes in figure.axes for text in axes.texts
    }
    assert said == {"Written": INK, "a red $coat$": INK, "a coat": FAINT}
    heading, caption, reference = corners(figure, images=False)
    assert heading == [0.2, 0.1, 3.36, 0.4]
    # below the heading; the caption has more room than the reference
    assert caption == [1.12, 0.6, 2.3, 0.86]
    assert reference == [1.12, 1.46, 2.3, 0.7]
    # dollars are no formula
    assert not any(text.get_parse_math() for text in figure.axes[2].texts)


def test_what_does_not_fit_together() -> None:
    with pytest.raises(ValueError, match="got 0 images, 0 captions and 0 references"):
        draw_captions([], [])
    with pytest.raises(ValueError, match="got 2 images, 1 captions and 1 references"):
        draw_captions([IMAGE] * 2, ["a"])
    with pytest.raises(ValueError, match="got 1 images, 1 captions and 2 references"):
        draw_captions([IMAGE], ["a"], references=["b", "c"])
