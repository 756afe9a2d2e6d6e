# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math
from typing import List, Sequence

import torch
from torch import Tensor

# weights of red, green and blue in a colour's grey value (ITU-R 601, as in torchvision and PIL)
LUMA = (0.299, 0.587, 0.114)


def jitter_color(
    image: Tensor,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    gain: Sequence[float],
) -> Tensor:
    """Changes brightness, contrast, saturation, hue and the cast of the colours, in this order, in one pass.

    Each of the five is an affine map of (red, green, blue), so all together are one 3 x 3 matrix and one offset. That
    costs a tenth of applying them one by one to uint8 images. Two differences to torchvision's adjustments: values
    beyond black and white are clipped once at the end, and the hue turns around the grey axis of RGB instead of HSV's
    cone.

    Args:
        image (Tensor): uint8 image of shape ``(3, h, w)``.
        brightness (float): Factor of all values; 1 changes nothing.
        contrast (float): Factor of the difference to the image's mean grey; 1 changes nothing.
        saturation (float): Factor of the difference to the pixel's grey; 1 changes nothing, 0 gives a grey image.
        hue (float): Turn of the hue, in turns: 0 changes nothing, 1/3 makes red green.
        gain (Sequence[float]): Factor of each channel, as another camera's white balance has it.

    Returns:
        Tensor: uint8 image of the same shape.
    """
    pixels = image.reshape(3, -1).to(torch.float32)
    # brightness and contrast scale all channels alike; saturation and hue leave greys, hence the offset, alone
    scale = brightness * contrast
    matrix = _saturation_and_hue(saturation, hue)
    offset = 0.0
    if contrast != 1.0:
        mean = pixels.mean(dim=1).tolist()
        offset = (1.0 - contrast) * brightness * sum(w * m for w, m in zip(LUMA, mean))
    rows = [[g * scale * value for value in row] for g, row in zip(gain, matrix)]
    # half a step more makes the conversion, which cuts, round to nearest
    offsets = [[g * offset + 0.5] for g in gain]
    mixed = torch.addmm(torch.tensor(offsets), torch.tensor(rows), pixels)
    return mixed.clamp_(0, 255).to(torch.uint8).view(image.shape)


def _saturation_and_hue(saturation: float, hue: float) -> List[List[float]]:
    """The matrix of both. Its rows sum to 1 and it keeps each pixel's grey value."""
    # M = grey + saturation * (cos * (1 - grey) + sin * turn): `turn` is a quarter turn around the grey axis, of the
    # colour difference that the grey value leaves (the matrix of SVG's and CSS's hue-rotate filter)
    angle = 2.0 * math.pi * hue
    cos, sin = saturation * math.cos(angle), saturation * math.sin(angle)
    matrix = []
    for i in range(3):
        row = []
        for j in range(3):
            identity = 1.0 if i == j else 0.0
            row.append(LUMA[j] + cos * (identity - LUMA[j]) + sin * _QUARTER_TURN[i][j])
        matrix.append(row)
    return matrix


def _quarter_turn() -> List[List[float]]:
    # cross product with the unit grey axis, then the projection along the grey axis onto the plane of equal grey value
    s = 1.0 / math.sqrt(3.0)
    cross = [[0.0, -s, s], [s, 0.0, -s], [-s, s, 0.0]]
    luma = [sum(LUMA[i] * cross[i][j] for i in range(3)) for j in range(3)]
    return [[cross[i][j] - luma[j] for j in range(3)] for i in range(3)]


_QUARTER_TURN = _quarter_turn()
