# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional, Tuple, Union

import torch
from torch import nn, Tensor
from torchmultimodal_reid.modules.masking.draws import Draws


class MultimodalMask(NamedTuple):
    # bool (b, gh * gw), True = hidden from the model
    masked_patches: Optional[Tensor] = None
    # bool (b, s), True = to be predicted
    masked_tokens: Optional[Tensor] = None
    # long (b, s), what the model reads in place of the text
    masked_text: Optional[Tensor] = None


class MaskedMultimodalModeling(nn.Module):
    """Draws the masks of one step, for images, for captions or for pairs of both.

    The masks are new for every sample at every step. Each half draws one ratio a step from its range, so all samples
    of the batch have the same number of masked patches, and tensors of masked positions keep their shape.

    Reference: https://arxiv.org/abs/2304.09498.

    Args:
        patch_masking (Optional[nn.Module]): Called as ``patch_masking(batch_size, grid, generator=..., device=...)``,
            such as :class:`~torchmultimodal_reid.modules.masking.patch_masking.BlockPatchMasking`. None leaves
            images whole. Default: None
        token_masking (Optional[nn.Module]): Called as ``token_masking(text, generator=...)``, such as
            :class:`~torchmultimodal_reid.modules.masking.token_masking.TokenMasking`. None leaves captions whole.
            Default: None

    Inputs:
        grid (Optional[Tuple[int, int]]): Rows and columns of patches, or None for a batch without images.
            Default: None
        text (Optional[Tensor]): Token ids, long, of shape ``(b, s)``, or None for a batch without captions.
            Default: None
        batch_size (Optional[int]): Number of samples. Needed where no text tells it. Default: None
        generator (Optional[Draws]): Source of the draws, on any device. Default: None, torch's global one
        device (Optional[Union[str, torch.device]]): Where the patches' mask is wanted. Default: None, the text's
            device, or the CPU without text

    Raises:
        ValueError: If a grid comes without any number of samples, or with another number than the text has.
    """

    def __init__(
        self,
        patch_masking: Optional[nn.Module] = None,
        token_masking: Optional[nn.Module] = None,
    ) -> None:
        super().__init__()
        self.patch_masking = patch_masking
        self.token_masking = token_masking

    def forward(
        self,
        grid: Optional[Tuple[int, int]] = None,
        text: Optional[Tensor] = None,
        *,
        batch_size: Optional[int] = None,
        generator: Optional[Draws] = None,
        device: Optional[Union[str, torch.device]] = None,
    ) -> MultimodalMask:
        if text is not None:
            if batch_size is not None and batch_size != text.shape[0]:
                raise ValueError(
                    f"batch_size is {batch_size} but text has {text.shape[0]} rows; they must be equal"
                )
            batch_size = text.shape[0]
            device = text.device if device is None else device
        masked_patches, masked_tokens, masked_text = None, None, None
        if grid is not None and self.patch_masking is not None:
            if batch_size is None:
                raise ValueError(
                    f"got the grid {tuple(grid)} but neither text nor batch_size: give batch_size"
                )
            masked_patches = self.patch_masking(
                batch_size,
                grid,
                generator=generator,
                device="cpu" if device is None else device,
            )
        if text is not None and self.token_masking is not None:
            masked_tokens, masked_text = self.token_masking(text, generator=generator)
        return MultimodalMask(masked_patches, masked_tokens, masked_text)
