# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Dict, List, Sequence

from PIL import Image
from torchmultimodal_reid.data.contact_sheet import draw_sheet, SheetRow
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.data.sample import PersonImage

IMAGE_SIZE = (128, 64)


def split_sheet(
    images: Sequence[PersonImage], rows: int = 10, columns: int = 8
) -> Image.Image:
    """Draws some people of a data set in rows, from different cameras as far as there are any, with a caption each.

    Args:
        images (Sequence[PersonImage]): The images; people are taken at equal distances from all over them.
        rows (int): Most people. Default: 10
        columns (int): Most images of each. Default: 8

    Returns:
        PIL.Image.Image: The sheet. Images that cannot be read are left out.

    Raises:
        DataError: If none can be read.
    """
    numbers = sorted({image.identity for image in images})
    step = max(1, len(numbers) // max(1, rows))
    chosen: Dict[int, List[PersonImage]] = {
        number: [] for number in numbers[::step][:rows]
    }
    for image in images:
        if image.identity in chosen:
            chosen[image.identity].append(image)
    sheet_rows = []
    for identity, own in chosen.items():
        picked = [image for image in _spread(own)[:columns] if _readable(image.path)]
        if picked:
            caption = next((i.captions[0] for i in picked if i.captions), "")
            text = f"{identity}: {caption}" if caption else str(identity)
            sheet_rows.append(SheetRow([image.path for image in picked], text))
    if not sheet_rows:
        raise DataError("no image for the contact sheet can be read")
    return draw_sheet(sheet_rows, IMAGE_SIZE)


def _spread(images: Sequence[PersonImage]) -> List[PersonImage]:
    """One image of each camera, then a second one of each, and so on."""
    turn: Dict[int, int] = {}
    turns = []
    for image in images:
        turns.append(turn.get(image.camera, 0))
        turn[image.camera] = turns[-1] + 1
    order = sorted(range(len(images)), key=lambda i: (turns[i], images[i].camera))
    return [images[i] for i in order]


def _readable(path: str) -> bool:
    try:
        read_image(path, IMAGE_SIZE)
    except DataError:
        return False
    return True
