# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Images and captions as a program has them: files, PIL images, tensors, strings."""

import os
from pathlib import Path
from typing import Any, cast, Iterable, List, Sequence, Tuple, Union

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.transforms.image import resize

AnyImage = Union[str, Path, Image.Image, Tensor]
# what PIL reads as a still image
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def read_any_image(
    image: AnyImage, image_size: Sequence[int], name: str = "image"
) -> Tensor:
    """A decoded image of one size. A file and the PIL image that was opened from it give the same, but for JPEGs of
    more than twice the size, which are decoded at a reduced size first.

    Args:
        image (AnyImage): A file's path, a PIL image, or a uint8 tensor of shape ``(3, h, w)``, of any size.
        image_size (Sequence[int]): Height and width to resize to.
        name (str): What the errors call an image without a file. Default: ``"image"``

    Returns:
        Tensor: uint8 of shape ``(3, *image_size)``.

    Raises:
        DataError: If a file is missing or damaged.
        ValueError: If it is something else, or a tensor of another kind.
    """
    _check_image(image, name)
    height, width = image_size
    if isinstance(image, (str, Path)):
        return read_image(str(image), image_size)
    if isinstance(image, Tensor):
        return resize(image.cpu(), (height, width))
    try:  # PIL reads a file when its pixels are first asked for
        image = image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        file = getattr(image, "filename", "") or "not from a file"
        raise DataError(
            f"{name} ({file}) cannot be decoded, it is cut short or damaged ({error}); replace it or take it out"
        ) from error
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def check_images(images: object) -> List[AnyImage]:
    """The images of a list, once each is known to be of a type that :func:`read_any_image` takes and each file to be
    there. It opens none.

    Args:
        images (object): What a user gave as ``images``.

    Raises:
        ValueError: If it is no list, is empty, or has another entry. Names the entry.
    """
    batch = isinstance(images, Tensor) and images.dim() == 4
    single = () if batch else (str, Path, Image.Image, Tensor)
    listed = _as_list(images, "images", single)
    for i, image in enumerate(listed):
        _check_image(image, f"images[{i}]")
        if isinstance(image, (str, Path)) and not os.path.isfile(image):
            raise ValueError(_not_a_file(image, f"images[{i}]"))
    return listed


def check_texts(texts: object) -> List[str]:
    """The captions of a list, once each is known to be one.

    Raises:
        ValueError: If it is no list, is empty, has an entry that is no string, or one that certainly is the path of an
            image. Names the entry.
    """
    listed = _as_list(texts, "texts", (str,))
    for i, text in enumerate(listed):
        if not isinstance(text, str):
            raise ValueError(
                f"texts[{i}] is a {type(text).__name__}, expected a caption as a string"
            )
        # a description is more than one word that ends so, and no file has its name
        is_path = " " not in text.strip() or os.path.isfile(text)
        if is_path and text.strip().lower().endswith((*IMAGE_ENDINGS, ".gif")):
            raise ValueError(
                f"texts[{i}] is the path of an image, {text!r}; images go into images"
            )
    return listed


def _as_list(given: object, name: str, single: Tuple[type, ...]) -> List[Any]:
    if isinstance(given, single):
        raise ValueError(
            f"{name} must be a list, got one of its entries; put it in [ ]"
        )
    # of a dictionary or a set nobody knows the order
    unfit = isinstance(given, (dict, set, bytes)) or not isinstance(given, Iterable)
    listed = [] if unfit else list(cast(Iterable[Any], given))
    if not listed:
        found = f"a {type(given).__name__}" if unfit else "an empty one"
        raise ValueError(f"{name} must be a list with at least one entry, got {found}")
    return listed


def _not_a_file(path: Union[str, Path], name: str) -> str:
    if os.path.isdir(path):
        return f"{name} is the folder {str(path)!r}, expected an image; list its files"
    words = isinstance(path, str) and " " in path
    return f"{name}: there is no file {str(path)!r}" + (
        "; a caption goes into texts" if words else ""
    )


def _check_image(image: object, name: str) -> None:
    if isinstance(image, Tensor):
        if image.dtype != torch.uint8 or image.dim() != 3 or image.shape[0] != 3:
            raise ValueError(
                f"{name} is a tensor of {image.dtype} and shape {tuple(image.shape)}, expected uint8 of shape (3, h, w)"
            )
    elif not isinstance(image, (str, Path, Image.Image)):
        array = isinstance(image, np.ndarray)
        advice = "; PIL's Image.fromarray takes an RGB array" if array else ""
        raise ValueError(
            f"{name} is a {type(image).__name__}, expected a file's path, a PIL image or a uint8 tensor of shape "
            f"(3, h, w){advice}"
        )
