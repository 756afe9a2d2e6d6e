# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import mmap
from typing import Iterable, Sequence

import torch
from torch import Tensor
from torchmultimodal_reid.data.image_io import read_image


class ImageCache:
    """Decoded and resized images, in memory that loader workers share: an epoch after the first decodes nothing.

    Images are read when they are asked for first, by whichever process needs them. Memory is taken as it is filled:
    3 * h * w bytes an image, 318 MB for Market-1501's training part at 128 x 64. One cache can serve several data
    sets, such as the image-only and the paired part of a mixture.

    Args:
        paths (Iterable[str]): The images; repeated paths share a place.
        image_size (Sequence[int]): Height and width.
    """

    def __init__(self, paths: Iterable[str], image_size: Sequence[int]) -> None:
        height, width = image_size
        self.image_size = (int(height), int(width))
        self._rows = {path: row for row, path in enumerate(dict.fromkeys(paths))}
        count = len(self._rows)
        self._images = _shared(count * 3 * height * width).view(count, 3, height, width)
        self._filled = _shared(count)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, path: str) -> bool:
        return path in self._rows

    def read(self, path: str) -> Tensor:
        """The image at ``path``, uint8 of shape ``(3, *image_size)``. It is the cache's own memory: do not write to it.

        Raises:
            DataError: If the image cannot be read.
        """
        row = self._rows[path]
        if not self._filled[row]:
            # two workers may both come here: they write the same bytes
            self._images[row] = read_image(path, self.image_size)
            self._filled[row] = 1  # only after the bytes are there
        return self._images[row]


def _shared(size: int) -> Tensor:
    """Zeroed bytes that forked processes share.

    An anonymous map is not bounded by the size of /dev/shm (64 MB in many containers), and takes no memory where
    nothing was written. Where workers are spawned, torch moves it to its own shared memory when it is sent to them.
    """
    if size == 0:
        return torch.zeros(0, dtype=torch.uint8)
    return torch.frombuffer(mmap.mmap(-1, size), dtype=torch.uint8)
