# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import torch
from torchmultimodal_reid.transforms.crop import crop_box

IMAGE = torch.arange(1, 13, dtype=torch.uint8).view(1, 4, 3).expand(3, 4, 3)


def test_whole_image():
    assert crop_box(IMAGE, 0, 0, 4, 3) is IMAGE


def test_shift_fills_with_black():
    expected = [[0, 0, 0], [2, 3, 0], [5, 6, 0], [8, 9, 0]]
    assert crop_box(IMAGE, -1, 1, 4, 3)[0].tolist() == expected
    expected = [[0, 7, 8], [0, 10, 11], [0, 0, 0], [0, 0, 0]]
    assert crop_box(IMAGE, 2, -1, 4, 3)[2].tolist() == expected


def test_box_is_resized_to_the_image():
    # one pixel fills everything
    assert (crop_box(IMAGE, 2, 1, 1, 1) == 8).all()
    assert crop_box(IMAGE, 2, 1, 1, 1).shape == IMAGE.shape
