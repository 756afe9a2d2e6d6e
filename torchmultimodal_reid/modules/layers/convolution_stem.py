# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Stems of convolutions, for transformers that are trained in few steps on little data."""

from typing import List, Optional, Tuple

import torch
from torch import nn, Tensor
from torchmultimodal.modules.layers.patch_embedding import PatchEmbeddingsOutput


class ConvolutionPatchEmbeddings(nn.Module):
    """[CLS] and patch tokens with positions, the patches seen through convolutions of stride 2.

    A vision transformer learns in fewer steps with such a stem than with one linear map a patch
    (https://arxiv.org/abs/2106.14881). It stands in for TorchMultimodal's ``PatchEmbeddings`` with
    ``use_image_masking=True`` and gives as many tokens. Since neighbouring patches overlap in it, hidden pixels are
    blanked before the first convolution: nothing of them reaches a visible token.

    Args:
        image_size (Tuple[int, int]): Height and width in pixels, multiples of ``patch_size``.
        patch_size (int): Side of a patch in pixels, a power of two.
        hidden_size (int): Width of the tokens, a multiple of half of ``patch_size``.

    Inputs:
        image (Tensor): Normalised images of shape ``(b, 3, h, w)``.
        image_patches_mask (Optional[Tensor]): Bool of shape ``(b, rows * columns)``, True where a patch is hidden.

    Raises:
        ValueError: If the sizes do not fit one another.
    """

    def __init__(
        self, image_size: Tuple[int, int], patch_size: int, hidden_size: int
    ) -> None:
        super().__init__()
        halvings = patch_size.bit_length() - 1
        if halvings < 1 or patch_size != 1 << halvings:
            raise ValueError(
                "a stem of convolutions halves the image again and again, so patch_size must be 2, 4, 8, 16 or another "
                f"power of two, got {patch_size}"
            )
        if hidden_size % (patch_size // 2):
            raise ValueError(
                f"hidden_size must be a multiple of half of patch_size {patch_size}, got {hidden_size}"
            )
        self.image_size = image_size
        self.patch_size = patch_size
        self.grid = (image_size[0] // patch_size, image_size[1] // patch_size)
        widths = [3, *(hidden_size >> i for i in reversed(range(halvings)))]
        layers: List[nn.Module] = []
        for inputs, outputs in zip(widths, widths[1:]):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                # over a sample, not over the batch: the same in training and in evaluation, masked or not
                nn.GroupNorm(1, outputs),
                nn.ReLU(),
            ]
        self.stem = nn.Sequential(*layers, nn.Conv2d(hidden_size, hidden_size, 1))
        num_patches = self.grid[0] * self.grid[1]
        self.cls_token = nn.Parameter(torch.zeros(1, 1, hidden_size))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, hidden_size))
        self.position_embeddings = nn.Parameter(
            torch.zeros(1, 1 + num_patches, hidden_size)
        )

    def forward(
        self, image: Tensor, image_patches_mask: Optional[Tensor] = None
    ) -> PatchEmbeddingsOutput:
        if tuple(image.shape[-2:]) != tuple(self.image_size):
            raise ValueError(
                f"got images of {image.shape[-2]}x{image.shape[-1]} pixels, "
                f"expected {self.image_size[0]}x{self.image_size[1]}, as the model was built"
            )
        if image_patches_mask is not None:
            hidden = image_patches_mask.unflatten(1, self.grid).unsqueeze(1)
            for axis in (2, 3):
                hidden = hidden.repeat_interleave(self.patch_size, dim=axis)
            image = image.masked_fill(hidden, 0.0)
        patches = self.stem(image.contiguous(memory_format=torch.channels_last))
        tokens = patches.flatten(2).transpose(1, 2)  # shape: (b, rows * columns, d)
        if image_patches_mask is not None:
            tokens = torch.where(
                image_patches_mask.unsqueeze(-1),
                self.mask_token.to(tokens.dtype),
                tokens,
            )
        # shape[0] and not len: torch.export takes the latter for a constant
        cls_token = self.cls_token.to(tokens.dtype).expand(tokens.shape[0], -1, -1)
        tokens = torch.cat([cls_token, tokens], dim=1) + self.position_embeddings
        return PatchEmbeddingsOutput(embeddings=tokens)


class ConvolutionTextEmbeddings(nn.Module):
    """Word embeddings, each with what a convolution over its neighbours adds.

    "red" and "skirt" next to each other are one thing; from embeddings of absolute positions alone, attention needs
    many captions to find that neighbours belong together. After the convolutions of ConvBERT
    (https://arxiv.org/abs/2008.02496), before the first layer only.

    Args:
        embeddings (nn.Module): Ids to tokens, such as TorchMultimodal's ``BERTTextEmbeddings``.
        d_model (int): Their width.
        kernel_size (int): Odd number of words that one sees. Default: 3.
        padding_id (int): The id that is padding; it adds nothing to its neighbours. Default: 0, as in BERT's
            vocabulary.

    Inputs:
        input_ids (Tensor): Token ids of shape ``(b, s)``.
    """

    def __init__(
        self,
        embeddings: nn.Module,
        d_model: int,
        kernel_size: int = 3,
        padding_id: int = 0,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        self.embeddings = embeddings
        self.convolution = nn.Conv1d(
            d_model, d_model, kernel_size, padding=kernel_size // 2
        )
        self.padding_id = padding_id

    def forward(self, input_ids: Tensor) -> Tensor:
        tokens = self.embeddings(input_ids=input_ids)
        is_padding = (input_ids == self.padding_id).unsqueeze(-1)
        words = tokens.masked_fill(is_padding, 0.0).transpose(1, 2)
        return tokens + nn.functional.gelu(self.convolution(words)).transpose(1, 2)
