# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional, Tuple

from torch import nn, Tensor
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput
from torchmultimodal_reid.modules.layers.attend_mask import attend_mask
from torchmultimodal_reid.modules.masking.selection import gather_tokens, TokenSelection


class ImageTransformerEncoder(nn.Module):
    """A vision transformer whose masked patches are replaced by a learned mask token, or left out.

    The image encoder of FLAVA (https://arxiv.org/abs/2112.04482) for images of any shape, with attention through
    ``scaled_dot_product_attention``.

    Args:
        embeddings (nn.Module): Patches to tokens with [CLS] and positions, such as TorchMultimodal's
            ``PatchEmbeddings`` built with ``use_image_masking=True``.
        encoder (nn.Module): Transformer over the tokens, such as TorchMultimodal's ``TransformerEncoder``, without a
            final norm.
        norm (nn.Module): The final norm.
        grid (Tuple[int, int]): Rows and columns of patches.

    Inputs:
        image (Tensor): Normalised images of shape ``(b, c, h, w)``.
        masked_patches (Optional[Tensor]): Bool of shape ``(b, rows * columns)``, True where a patch is replaced by the
            mask token.
        visible (Optional[TokenSelection]): The tokens that go through the transformer, [CLS] being token 0. Default:
            None, all of them.
    """

    def __init__(
        self,
        embeddings: nn.Module,
        encoder: nn.Module,
        norm: nn.Module,
        grid: Tuple[int, int],
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.encoder = encoder
        self.norm = norm
        self.grid = grid

    def forward(
        self,
        image: Tensor,
        masked_patches: Optional[Tensor] = None,
        visible: Optional[TokenSelection] = None,
    ) -> EncoderOutput:
        tokens = self.embeddings(image, image_patches_mask=masked_patches).embeddings
        padding = None
        if visible is not None:
            tokens, padding = gather_tokens(tokens, visible), visible.padding
        hidden = self.encoder(tokens, attend_mask(padding)).last_hidden_state
        return EncoderOutput(tokens=self.norm(hidden), hidden=hidden)
