# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""CLIP's encoders (https://arxiv.org/abs/2103.00020) for who needs all of their tokens, not the pooled one alone."""

from typing import Any, Optional, Tuple

import torch
from torch import nn, Tensor
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput


class CLIPImageTokens(nn.Module):
    """All tokens of TorchMultimodal's ``CLIPViTEncoder``, for images of any shape.

    It runs the layers of the encoder that it is given, whose own ``forward`` takes squares alone and gives one
    embedding. CLIP has no mask token: a hidden patch is seen as one of the colour that is zero in normalised images.

    Args:
        clip (nn.Module): A ``CLIPViTEncoder`` with as many positions as there are patches, and one. Its ``projection``
            is not read.
        grid (Tuple[int, int]): Rows and columns of patches.

    Inputs:
        image (Tensor): Normalised images of shape ``(b, 3, h, w)``.
        masked_patches (Optional[Tensor]): Bool of shape ``(b, rows * columns)``, True where a patch is hidden.

    Returns:
        EncoderOutput: Tokens of shape ``(b, 1 + rows * columns, d)`` after the final norm, twice: before it they are
        of very different sizes in CLIP.

    Raises:
        ValueError: If the encoder has another number of positions, or an image is of another size.
    """

    def __init__(self, clip: nn.Module, grid: Tuple[int, int]) -> None:
        super().__init__()
        positions = clip.get_parameter("positional_embedding").shape[0]
        if positions != 1 + grid[0] * grid[1]:
            raise ValueError(
                f"the encoder has {positions} positions, expected {1 + grid[0] * grid[1]}: one for [CLS] and one for "
                f"each of {grid[0]}x{grid[1]} patches"
            )
        self.clip = clip
        self.grid = grid

    def forward(
        self, image: Tensor, masked_patches: Optional[Tensor] = None
    ) -> EncoderOutput:
        clip: Any = self.clip
        expected = [
            count * side for count, side in zip(self.grid, clip.conv.kernel_size)
        ]
        if list(image.shape[-2:]) != expected:
            raise ValueError(
                f"got images of {image.shape[-2]}x{image.shape[-1]} pixels, expected {expected[0]}x{expected[1]}, as "
                "the model was built"
            )
        patches = clip.conv(image).flatten(2).transpose(1, 2)  # shape: (b, n, d)
        if masked_patches is not None:
            # the convolution has no bias, so this is a patch of zeros
            patches = patches.masked_fill(masked_patches.unsqueeze(-1), 0.0)
        cls_token = clip.cls_token_embedding.expand(image.shape[0], 1, -1)
        tokens = torch.cat([cls_token, patches], dim=1) + clip.positional_embedding
        tokens = clip.ln_post(clip.encoder(clip.ln_pre(tokens)))
        return EncoderOutput(tokens=tokens, hidden=tokens)


class CLIPTextTokens(nn.Module):
    """All tokens of TorchMultimodal's ``CLIPTextEncoder``, the one that stands for the whole caption first.

    A token of CLIP sees those before it alone. What a BERT reads off [CLS], the first token, CLIP reads off the end of
    the caption, the last one, so these two change places. All others stay, in line with ``text_padding``, which has to
    be at the end of a caption: nothing before it sees it.

    Args:
        clip (nn.Module): A ``CLIPTextEncoder``. Its ``projection`` is not read.

    Inputs:
        text (Tensor): Token ids of shape ``(b, s)``, of which the last that is no padding is the end of the caption.
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding. Default: None, there is none.

    Returns:
        EncoderOutput: Tokens of shape ``(b, s, d)`` after the final norm, twice.

    Raises:
        ValueError: If captions are longer than the encoder has positions for.
    """

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        self.clip = clip
        self.max_length = clip.get_parameter("positional_embedding").shape[0]

    def forward(
        self, text: Tensor, text_padding: Optional[Tensor] = None
    ) -> EncoderOutput:
        clip: Any = self.clip
        length = text.shape[1]
        if length > self.max_length:
            raise ValueError(
                f"captions have {length} tokens, but the text encoder has positions for {self.max_length}; truncate "
                "them to that length or build the model with a larger max_text_length"
            )
        tokens = clip.token_embedding(text) + clip.positional_embedding[:length]
        # upstream's own mask is no buffer: it stays behind when the encoder moves to another device
        causal = torch.full(
            (length, length), float("-inf"), dtype=tokens.dtype, device=tokens.device
        ).triu(1)
        hidden = clip.encoder(tokens.transpose(0, 1), mask=causal, is_causal=True)
        tokens = swap_ends(clip.ln_final(hidden.transpose(0, 1)), text_padding)
        return EncoderOutput(tokens=tokens, hidden=tokens)


def swap_ends(tokens: Tensor, padding: Optional[Tensor] = None) -> Tensor:
    """Lets the first token of each row and the last that is no padding change places.

    Args:
        tokens (Tensor): Of shape ``(b, n, d)``.
        padding (Optional[Tensor]): Bool of shape ``(b, n)``, True at padding, at the end of a row. Default: None
    """
    b, n, d = tokens.shape
    if padding is None:
        last = torch.full((b, 1), n - 1, device=tokens.device)
    else:
        last = ((~padding).sum(dim=1, keepdim=True) - 1).clamp(min=0)
    order = torch.arange(n, device=tokens.device).expand(b, n)
    order = torch.cat([last, order[:, 1:]], dim=1).scatter(1, last, 0)
    # a row of one token: what is first and last at once stays
    return tokens.gather(1, order.unsqueeze(-1).expand(b, n, d))
