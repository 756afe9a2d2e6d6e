# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F


def crop_box(image: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """Cuts a box out of an image and resizes it to the image's size. What lies outside is black (zero).

    Args:
        image (Tensor): uint8 image of shape ``(3, h, w)``.
        top (int): First row of the box; may be negative.
        left (int): First column of the box; may be negative.
        height (int): Height of the box.
        width (int): Width of the box.

    Returns:
        Tensor: uint8 image of shape ``(3, h, w)``. The image itself if the box is all of it.
    """
    size = [image.shape[1], image.shape[2]]
    if [height, width] != size:
        return F.resized_crop(image, top, left, height, width, size, antialias=True)
    if top == 0 and left == 0:
        return image
    # F.crop pads the whole image first; copying the part that both have takes a third of the time
    shifted = torch.zeros_like(image)
    target_rows = slice(max(0, -top), height - max(0, top))
    target_columns = slice(max(0, -left), width - max(0, left))
    rows = slice(max(0, top), height + min(0, top))
    columns = slice(max(0, left), width + min(0, left))
    shifted[:, target_rows, target_columns] = image[:, rows, columns]
    return shifted
