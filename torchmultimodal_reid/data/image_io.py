# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import struct
from typing import BinaryIO, Optional, Sequence, Union

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchmultimodal_reid.data.errors import UnreadableImageError

# what PIL raises for files that are cut short or damaged: most formats OSError, PNG also SyntaxError and ValueError
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error)


def read_image(path: str, image_size: Optional[Sequence[int]] = None) -> Tensor:
    """Decodes an image, and resizes it while that is cheapest.

    Args:
        path (str): Any format that PIL reads. Grey images and palettes become RGB, transparency is dropped.
        image_size (Optional[Sequence[int]]): Height and width to resize to, bilinear with antialiasing. JPEGs of four
            times the size or more are decoded at a reduced size first. Default: the image's own size

    Returns:
        Tensor: uint8 image of shape ``(3, h, w)``.

    Raises:
        UnreadableImageError: If the file is missing, is not an image, or is cut short. Names the file.
    """
    return decode_image(path, path, image_size)


def decode_image(
    source: Union[str, BinaryIO],
    path: str,
    image_size: Optional[Sequence[int]] = None,
) -> Tensor:
    """Decodes an image as ``read_image`` does, from its path or from an open file of its bytes.

    Args:
        source (Union[str, BinaryIO]): Where the bytes are.
        path (str): What the errors call it.
        image_size (Optional[Sequence[int]]): Height and width to resize to. Default: the image's own size

    Returns:
        Tensor: uint8 image of shape ``(3, h, w)``.

    Raises:
        UnreadableImageError: As ``read_image`` raises it.
    """
    try:
        with Image.open(source) as file:
            if image_size is not None:
                height, width = image_size
                file.draft("RGB", (2 * width, 2 * height))
            image = file.convert("RGB")
    except FileNotFoundError as error:
        raise UnreadableImageError(
            path, "the image is not there; was it moved after the data set was read?"
        ) from error
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            path, "not an image, or of a format that PIL does not know"
        ) from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(path, f"too large for an image: {error}") from error
    except _DAMAGED as error:
        raise UnreadableImageError(
            path,
            f"the image cannot be read, it is cut short or damaged ({error}); replace it or take it out",
        ) from error
    if image_size is not None and image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
