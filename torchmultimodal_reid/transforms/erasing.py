# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math

from torch import Tensor


def erase_rectangle(
    image: Tensor, area: float, aspect: float, row: float, column: float, color: Tensor
) -> Tensor:
    """Paints over a rectangle of an image, as an occluder would (https://arxiv.org/abs/1708.04896).

    The paper draws rectangles until one fits into the image. Here a side that is too long is cut instead, so that every
    image takes the same number of draws.

    Args:
        image (Tensor): uint8 image of shape ``(3, h, w)``. It is left as it is.
        area (float): The rectangle's share of the image.
        aspect (float): Its height / width.
        row (float): Where it is, from 0 (at the top) to 1 (at the bottom).
        column (float): Where it is, from 0 (on the left) to 1 (on the right).
        color (Tensor): uint8 colour of shape ``(3,)``.

    Returns:
        Tensor: A new uint8 image of the same shape.
    """
    _, height, width = image.shape
    pixels = area * height * width
    box_height = min(height, max(1, round(math.sqrt(pixels * aspect))))
    box_width = min(width, max(1, round(math.sqrt(pixels / aspect))))
    top = min(int(row * (height - box_height + 1)), height - box_height)
    left = min(int(column * (width - box_width + 1)), width - box_width)
    image = image.clone()
    image[:, top : top + box_height, left : left + box_width] = color.view(3, 1, 1)
    return image
