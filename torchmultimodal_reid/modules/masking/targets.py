# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Tuple

import torch
from torch import nn, Tensor
from torch.nn import functional as F


class PatchStatistics(NamedTuple):
    mean: Tensor  # (b, n, 1)
    std: Tensor  # (b, n, 1)


class PixelTargets(nn.Module):
    """The pixels of each patch, by default with each patch brought to mean 0 and deviation 1.

    Reference: https://arxiv.org/abs/2111.06377. Patches are in the order of a strided convolution's
    ``flatten(2)``, row by row over the grid. Within a patch come all pixels of the first channel row by row, then the
    second, then the third: the order of such a convolution's weights. :meth:`to_image` is the inverse.

    Args:
        patch_size (int): Side of a patch in pixels ``p``.
        normalize (bool): Whether each patch is normalised by its own mean and deviation, over all its channels.
            Default: True
        eps (float): Added to the variance, so that a patch of one colour is all zero. Default: 1e-6

    Inputs:
        image (Tensor): Images, floating, of shape ``(b, c, h, w)``.

    Returns:
        Tensor: float32 of shape ``(b, n, c * p * p)``, without gradient.

    Raises:
        ValueError: If the image is not floating and ``(b, c, h, w)``, or ``h`` or ``w`` is no multiple of ``p``.
    """

    def __init__(
        self, patch_size: int, normalize: bool = True, eps: float = 1e-6
    ) -> None:
        super().__init__()
        if patch_size < 1:
            raise ValueError(f"patch_size must be >= 1, got {patch_size}")
        self.patch_size = patch_size
        self.normalize = normalize
        self.eps = eps

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        patches = self._to_patches(image)
        if not self.normalize:
            return patches
        mean, std = self._statistics(patches)
        return (patches - mean) / std

    def denormalize(self, patches: Tensor, image: Tensor) -> Tensor:
        """Turns predicted targets back into pixels, by the statistics that the patches of the original image have.

        Args:
            patches (Tensor): Targets or predictions of shape ``(b, n, c * p * p)``.
            image (Tensor): The images that the targets were made of, of shape ``(b, c, h, w)``.

        Returns:
            Tensor: Pixels on the image's own scale, of the shape of ``patches``; ``patches`` as it is if this module
            does not normalise.
        """
        if not self.normalize:
            return patches
        mean, std = self._statistics(self._to_patches(image))
        return patches * std + mean

    def to_image(self, patches: Tensor, grid: Tuple[int, int]) -> Tensor:
        """Puts patches together to images.

        Args:
            patches (Tensor): Of shape ``(b, gh * gw, c * p * p)``.
            grid (Tuple[int, int]): Rows and columns of patches ``(gh, gw)``.

        Returns:
            Tensor: Images of shape ``(b, c, gh * p, gw * p)``.

        Raises:
            ValueError: If the patches do not fit the grid or the patch size.
        """
        rows, columns = grid
        size = self.patch_size
        if (
            patches.dim() != 3
            or patches.shape[1] != rows * columns
            or patches.shape[2] % size**2
        ):
            raise ValueError(
                f"patches must be (b, {rows * columns}, channels * {size**2}) for a grid of {rows}x{columns} and "
                f"patches of {size}x{size} pixels, got {tuple(patches.shape)}"
            )
        image = patches.reshape(patches.shape[0], rows, columns, -1, size, size)
        return image.permute(0, 3, 1, 4, 2, 5).reshape(
            patches.shape[0], -1, rows * size, columns * size
        )

    def _to_patches(self, image: Tensor) -> Tensor:
        if image.dim() != 4 or not image.is_floating_point():
            raise ValueError(
                f"image must be floating of shape (b, c, h, w), got {image.dtype} {tuple(image.shape)}"
            )
        rows, columns = patch_grid(image, self.patch_size)
        batch, channels = image.shape[:2]
        patches = image.float().reshape(
            batch, channels, rows, self.patch_size, columns, self.patch_size
        )
        return patches.permute(0, 2, 4, 1, 3, 5).reshape(batch, rows * columns, -1)

    def _statistics(self, patches: Tensor) -> PatchStatistics:
        var, mean = torch.var_mean(patches, dim=-1, keepdim=True)
        return PatchStatistics(mean, torch.sqrt(var + self.eps))

    def extra_repr(self) -> str:
        return f"patch_size={self.patch_size}, normalize={self.normalize}"


class CodebookTargets(nn.Module):
    """The index that a frozen codebook gives to each patch, as FLAVA and BEiT predict it.

    Reference: https://arxiv.org/abs/2106.08254. The codebook stays in evaluation mode and gets no gradient: a VQVAE in
    training mode would go on moving its codes. What it expects of its pixels, such as the dVAE's range, belongs into
    the module that is given (``nn.Sequential(to_its_range, encoder)``).

    Args:
        codebook (nn.Module): Takes images ``(b, c, h, w)`` and returns indices ``(b, gh, gw)`` or ``(b, gh * gw)``.
        patch_size (int): Side of a patch of the image encoder in pixels.
        method (str): Name of the method that does so: "encode" for TorchMultimodal's ``VQVAE``, "forward" for its
            ``DalleVAEEncoder``. Default: "forward"
        scale (float): Images are resized by this factor first. The dVAE has one code in 8x8 pixels, so patches of 16
            pixels need 0.5. Default: 1.0

    Inputs:
        image (Tensor): Images of shape ``(b, c, h, w)``.

    Returns:
        Tensor: Indices, long, of shape ``(b, n)``, row by row over the grid.

    Raises:
        ValueError: If the codebook has no such method, returns no indices, or its grid is not the grid of patches.
    """

    def __init__(
        self,
        codebook: nn.Module,
        patch_size: int,
        *,
        method: str = "forward",
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if patch_size < 1 or scale <= 0:
            raise ValueError(
                f"patch_size must be >= 1 and scale > 0, got {patch_size} and {scale}"
            )
        if not callable(getattr(codebook, method, None)):
            raise ValueError(
                f"{type(codebook).__name__} has no method {method!r} that turns images into indices"
            )
        self.codebook = codebook.requires_grad_(False)
        self.patch_size = patch_size
        self.method = method
        self.scale = scale
        self.train(self.training)

    def train(self, mode: bool = True) -> "CodebookTargets":
        super().train(mode)
        self.codebook.eval()
        return self

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        rows, columns = patch_grid(image, self.patch_size)
        if self.scale != 1:
            image = F.interpolate(
                image,
                scale_factor=self.scale,
                mode="bilinear",
                align_corners=False,
                antialias=self.scale < 1,
            )
        indices = getattr(self.codebook, self.method)(image)
        if (
            not isinstance(indices, Tensor)
            or indices.is_floating_point()
            or indices.dim() not in (2, 3)
        ):
            got = (
                f"{indices.dtype} {tuple(indices.shape)}"
                if isinstance(indices, Tensor)
                else type(indices).__name__
            )
            raise ValueError(
                f"{type(self.codebook).__name__}.{self.method} must return integer indices of shape (b, gh, gw) or "
                f"(b, gh * gw), got {got}; TorchMultimodal's VQVAE needs method='encode'"
            )
        expected = (rows, columns) if indices.dim() == 3 else (rows * columns,)
        if tuple(indices.shape[1:]) != expected:
            raise ValueError(
                f"the codebook gives {_by(indices.shape[1:])} codes but the image has {_by(expected)} patches of "
                f"{self.patch_size} pixels; change scale (now {self.scale}) or the patch size"
            )
        return indices.flatten(1).long()

    def extra_repr(self) -> str:
        return (
            f"patch_size={self.patch_size}, method={self.method!r}, scale={self.scale}"
        )


def patch_grid(image: Tensor, patch_size: int) -> Tuple[int, int]:
    """Rows and columns of patches in images of shape ``(..., h, w)``.

    Raises:
        ValueError: If the height or width is no multiple of ``patch_size``.
    """
    height, width = image.shape[-2:]
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"an image of {height}x{width} pixels cannot be cut into patches of {patch_size} pixels"
        )
    return height // patch_size, width // patch_size


def _by(sizes: Tuple[int, ...]) -> str:
    return "x".join(str(size) for size in sizes)
