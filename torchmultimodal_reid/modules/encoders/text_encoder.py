# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional

from torch import nn, Tensor
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput
from torchmultimodal_reid.modules.layers.attend_mask import attend_mask
from torchmultimodal_reid.modules.masking.selection import gather_tokens, TokenSelection


class TextTransformerEncoder(nn.Module):
    """A bidirectional transformer over the words of a caption.

    The text encoder of FLAVA (https://arxiv.org/abs/2112.04482) with attention through
    ``scaled_dot_product_attention``. What stands at padding changes nothing elsewhere.

    Args:
        embeddings (nn.Module): Ids to tokens, such as TorchMultimodal's ``BERTTextEmbeddings``.
        encoder (nn.Module): Transformer over the tokens, without a final norm.
        norm (nn.Module): The final norm.
        max_length (int): The longest caption, in tokens, that ``embeddings`` has positions for.

    Inputs:
        text (Tensor): Token ids of shape ``(b, s)``, the first being [CLS].
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding.
        visible (Optional[TokenSelection]): The tokens that go through the transformer, [CLS] being token 0. Default:
            None, all of them. Given, its padding is the padding, and ``text_padding`` is not read.

    Raises:
        ValueError: If the captions are longer than ``max_length``.
    """

    def __init__(
        self,
        embeddings: nn.Module,
        encoder: nn.Module,
        norm: nn.Module,
        max_length: int,
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.encoder = encoder
        self.norm = norm
        self.max_length = max_length

    def forward(
        self,
        text: Tensor,
        text_padding: Optional[Tensor] = None,
        visible: Optional[TokenSelection] = None,
    ) -> EncoderOutput:
        if text.shape[1] > self.max_length:
            raise ValueError(
                f"captions have {text.shape[1]} tokens, but the text encoder has positions for {self.max_length}; "
                "truncate them to that length or build the model with a larger max_text_length"
            )
        tokens = self.embeddings(input_ids=text)
        if visible is not None:
            tokens, text_padding = gather_tokens(tokens, visible), visible.padding
        hidden = self.encoder(tokens, attend_mask(text_padding)).last_hidden_state
        return EncoderOutput(tokens=self.norm(hidden), hidden=hidden)
