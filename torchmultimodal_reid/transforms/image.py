# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math
from typing import List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torchmultimodal_reid.transforms.color import jitter_color
from torchmultimodal_reid.transforms.crop import crop_box
from torchmultimodal_reid.transforms.erasing import erase_rectangle
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ImageTransformOutput(NamedTuple):
    """A transformed image, and whether it was mirrored: then the caption must swap left and right."""

    image: Tensor  # uint8 of shape (3, h, w)
    flipped: bool


class EvalImageTransform:
    """Resizes an image to one size and does nothing else to it.

    Args:
        image_size (Sequence[int]): Height and width, such as ``(256, 128)``.

    Inputs:
        image (Tensor): uint8 image of shape ``(3, H, W)``.
        generator (Optional[torch.Generator]): Not used. Default: ``None``

    Returns:
        ImageTransformOutput: uint8 image of shape ``(3, *image_size)``, never flipped.
    """

    def __init__(self, image_size: Sequence[int]) -> None:
        self.image_size = _size(image_size)

    def resize(self, image: Tensor) -> Tensor:
        """The first step alone; an image that has the size already is returned as it is."""
        return resize(image, self.image_size)

    def __call__(
        self, image: Tensor, generator: Optional[torch.Generator] = None
    ) -> ImageTransformOutput:
        return ImageTransformOutput(self.resize(image), False)


class TrainImageTransform:
    """The augmentation of a training image: crop, flip, colour, erasing, in this order.

    All random numbers are drawn at once from the generator, the same count for every image, so an image's
    augmentation is a function of the generator's state and switching one part off leaves the others' draws alone.

    Args:
        image_size (Sequence[int]): Height and width, such as ``(256, 128)``.
        flip (float): Probability to mirror the image. Default: 0.5
        pad (Optional[int]): The crop is moved by up to so many pixels; what lies outside is black (zero).
            Default: 10 for an image 256 high, in proportion for others
        scale (Sequence[float]): Range of the crop's size relative to the image, per side; 0.9 to 1.0 is a slight zoom.
            Default: (1.0, 1.0)
        color_jitter (Sequence[float]): Brightness, contrast, saturation: the factor is drawn from ``1 - x`` to
            ``1 + x``. Hue: turns by up to ``x`` of a full turn. Captions name colours, so be careful with it.
            Default: (0.2, 0.2, 0.2, 0.0)
        channel_gain (float): Factor of each channel, from ``1 - x`` to ``1 + x``: the colour cast of another camera.
            Default: 0.1
        erase (float): Probability to erase a rectangle (https://arxiv.org/abs/1708.04896). Default: 0.5
        erase_area (Sequence[float]): Range of the rectangle's share of the image. Default: (0.02, 0.4)
        erase_aspect (Sequence[float]): Range of its height / width, drawn log-uniformly. Default: (0.3, 3.33)
        erase_color (Sequence[float]): Red, green, blue in [0, 1] to fill it with. Default: ImageNet's mean

    Inputs:
        image (Tensor): uint8 image of shape ``(3, H, W)``.
        generator (torch.Generator): The only source of randomness.

    Returns:
        ImageTransformOutput: uint8 image of shape ``(3, *image_size)``, and whether it was mirrored.

    Raises:
        ValueError: If a probability or a range is out of bounds.
    """

    def __init__(
        self,
        image_size: Sequence[int],
        *,
        flip: float = 0.5,
        pad: Optional[int] = None,
        scale: Sequence[float] = (1.0, 1.0),
        color_jitter: Sequence[float] = (0.2, 0.2, 0.2, 0.0),
        channel_gain: float = 0.1,
        erase: float = 0.5,
        erase_area: Sequence[float] = (0.02, 0.4),
        erase_aspect: Sequence[float] = (0.3, 3.33),
        erase_color: Sequence[float] = IMAGENET_MEAN,
    ) -> None:
        self.image_size = _size(image_size)
        for name, probability in (("flip", flip), ("erase", erase)):
            if not 0.0 <= probability <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, got {probability}")
        if len(color_jitter) != 4 or not all(
            0.0 <= x <= limit for x, limit in zip(color_jitter, (1, 1, 1, 0.5))
        ):
            raise ValueError(
                "color_jitter must be (brightness, contrast, saturation, hue), the first three between 0 and 1 and "
                f"hue between 0 and 0.5, got {tuple(color_jitter)}"
            )
        if not 0.0 <= channel_gain <= 1.0:
            raise ValueError(
                f"channel_gain must be between 0 and 1, got {channel_gain}"
            )
        if len(erase_color) != 3:
            raise ValueError(f"erase_color must be 3 values, got {tuple(erase_color)}")
        self.flip = flip
        self.pad = self._pad(pad)
        self.scale = _range("scale", scale, 2.0)
        self.color_jitter = tuple(color_jitter)
        self.channel_gain = channel_gain
        self.erase = erase
        self.erase_area = _range("erase_area", erase_area, 1.0)
        self.erase_aspect = _range("erase_aspect", erase_aspect, math.inf)
        self._erase_color = (torch.tensor(erase_color) * 255).round().to(torch.uint8)

    def resize(self, image: Tensor) -> Tensor:
        """The first step alone, which needs no randomness and can be cached."""
        return resize(image, self.image_size)

    def __call__(
        self, image: Tensor, generator: torch.Generator
    ) -> ImageTransformOutput:
        # one draw costs 2 us, as many draws as there are parameters would cost as much as the transform
        draws = torch.rand(16, generator=generator).tolist()
        image = self._crop(self.resize(image), draws[0:3])
        flipped = draws[3] < self.flip
        if flipped:
            image = image.flip(-1)
        image = self._jitter(image, draws[4:11])
        if draws[11] < self.erase:
            image = self._erase(image, draws[12:16])
        return ImageTransformOutput(image, flipped)

    def _pad(self, pad: Optional[int]) -> int:
        if pad is None:
            return round(self.image_size[0] * 10 / 256)
        if not 0 <= pad < min(self.image_size):
            raise ValueError(
                f"pad must be at least 0 and less than the image's {min(self.image_size)} pixels, got {pad}"
            )
        return pad

    def _crop(self, image: Tensor, draws: List[float]) -> Tensor:
        height, width = self.image_size
        scale = _between(draws[0], self.scale)
        box_height, box_width = round(height * scale), round(width * scale)
        top = _position(draws[1], height - box_height, self.pad)
        left = _position(draws[2], width - box_width, self.pad)
        return crop_box(image, top, left, box_height, box_width)

    def _jitter(self, image: Tensor, draws: List[float]) -> Tensor:
        brightness, contrast, saturation, hue = self.color_jitter
        if not any(self.color_jitter) and not self.channel_gain:
            return image
        return jitter_color(
            image,
            _between(draws[0], (1 - brightness, 1 + brightness)),
            _between(draws[1], (1 - contrast, 1 + contrast)),
            _between(draws[2], (1 - saturation, 1 + saturation)),
            _between(draws[3], (-hue, hue)),
            [
                _between(draw, (1 - self.channel_gain, 1 + self.channel_gain))
                for draw in draws[4:7]
            ],
        )

    def _erase(self, image: Tensor, draws: List[float]) -> Tensor:
        low, high = self.erase_aspect
        return erase_rectangle(
            image,
            _between(draws[0], self.erase_area),
            math.exp(_between(draws[1], (math.log(low), math.log(high)))),
            row=draws[2],
            column=draws[3],
            color=self._erase_color,
        )


class Normalize(torch.nn.Module):
    """Turns a batch of uint8 images into floats, on the device where the batch is: a quarter of the bytes travel.

    Args:
        mean (Sequence[float]): Mean of each channel, of values in [0, 1]. Default: ImageNet's
        std (Sequence[float]): Standard deviation of each channel. Default: ImageNet's

    Inputs:
        image (Tensor): uint8 images of shape ``(b, 3, h, w)``.

    Returns:
        Tensor: float32 images of the same shape: ``(image / 255 - mean) / std``.

    Raises:
        ValueError: If ``std`` is not positive, or the images are not uint8.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(
                f"mean and std must be 3 values each, std above 0; got {tuple(mean)} and {tuple(std)}"
            )
        # not persistent: they are arguments, not weights, and travel with the builder's arguments
        for name, values in (("mean", mean), ("std", std)):
            buffer = torch.tensor(values, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        if image.dtype != torch.uint8:
            raise ValueError(
                f"expected uint8 images with values 0..255, got {image.dtype}; are they normalised already?"
            )
        return image.to(torch.float32).div_(255).sub_(self.mean).div_(self.std)

    def inverse(self, image: Tensor) -> Tensor:
        """uint8 images from normalised ones, clipped: to show what a model reconstructed."""
        values = (image * self.std + self.mean) * 255
        return values.round().clamp(0, 255).to(torch.uint8)


def resize(image: Tensor, image_size: Tuple[int, int]) -> Tensor:
    """Resizes a uint8 image of shape ``(3, H, W)`` to ``(3, *image_size)``, bilinear with antialiasing, as PIL does.

    Raises:
        ValueError: If it is no uint8 image of three channels.
    """
    if image.dtype != torch.uint8 or image.dim() != 3 or image.shape[0] != 3:
        raise ValueError(
            f"expected a uint8 image of shape (3, h, w), got {image.dtype} of shape {tuple(image.shape)}"
        )
    if tuple(image.shape[1:]) == image_size:
        return image
    return F.resize(
        image,
        list(image_size),
        interpolation=InterpolationMode.BILINEAR,
        antialias=True,
    )


def _size(image_size: Sequence[int]) -> Tuple[int, int]:
    if len(image_size) != 2 or min(image_size) < 1:
        raise ValueError(
            f"image_size must be (height, width) in pixels, got {tuple(image_size)}"
        )
    return int(image_size[0]), int(image_size[1])


def _range(name: str, bounds: Sequence[float], limit: float) -> Tuple[float, float]:
    if len(bounds) != 2 or not 0 < bounds[0] <= bounds[1] <= limit:
        raise ValueError(
            f"{name} must be a range (low, high) with 0 < low <= high <= {limit}, got {tuple(bounds)}"
        )
    return float(bounds[0]), float(bounds[1])


def _between(draw: float, bounds: Sequence[float]) -> float:
    return bounds[0] + draw * (bounds[1] - bounds[0])


def _position(draw: float, slack: int, pad: int) -> int:
    """Start of a box in a line that is ``slack`` longer than it, padded by ``pad`` on both sides."""
    low, high = min(0, slack) - pad, max(0, slack) + pad
    return min(low + int(draw * (high - low + 1)), high)
