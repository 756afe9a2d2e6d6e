# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import List, NamedTuple, Sequence, Tuple

from PIL import Image, ImageDraw, ImageOps

_LINE, _GAP = 12, 4


class SheetRow(NamedTuple):
    """A row of a contact sheet.

    Args:
        images (Sequence[str]): Paths of the images, from left to right.
        text (str): What is written under them.
    """

    images: Sequence[str]
    text: str


def draw_sheet(
    rows: Sequence[SheetRow], image_size: Tuple[int, int], text_lines: int = 2
) -> Image.Image:
    """Draws images in rows, each with its text beneath.

    Args:
        rows (Sequence[SheetRow]): The rows, at least one.
        image_size (Tuple[int, int]): Height and width of a place; images of other sizes are scaled to fit into it.
        text_lines (int): Lines of text under a row; a longer text is cut off. Default: 2

    Returns:
        PIL.Image.Image: The sheet.
    """
    height, width = image_size
    columns = max(len(row.images) for row in rows)
    row_height = height + text_lines * _LINE + _GAP
    sheet = Image.new("RGB", (columns * (width + 1), len(rows) * row_height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = number * row_height
        for column, path in enumerate(row.images):
            with Image.open(path) as image:
                fitting = image.convert("RGB")
            if fitting.size != (width, height):
                fitting = ImageOps.contain(fitting, (width, height))
            sheet.paste(fitting, (column * (width + 1), top))
        # the picture's own font knows Latin letters only
        text = row.text.encode("latin-1", "replace").decode("latin-1")
        for line, part in enumerate(_wrap(text, draw, sheet.width - 4)[:text_lines]):
            draw.text((2, top + height + line * _LINE), part, fill="black")
    return sheet


def _wrap(text: str, draw: ImageDraw.ImageDraw, width: int) -> List[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
