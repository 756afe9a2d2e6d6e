# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The three encoders on parts that count: what goes in, in which order, what comes out before and after the norm."""

from typing import NamedTuple

import pytest
import torch
from torch import nn, Tensor
from torchmultimodal.modules.layers.patch_embedding import PatchEmbeddings
from torchmultimodal_reid.modules.encoders.image_encoder import ImageTransformerEncoder
from torchmultimodal_reid.modules.encoders.multimodal_encoder import (
    MultimodalTransformerEncoder,
)
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput
from torchmultimodal_reid.modules.encoders.text_encoder import TextTransformerEncoder


class Embeddings(NamedTuple):
    embeddings: Tensor


class Hidden(NamedTuple):
    last_hidden_state: Tensor


class TimesTen(nn.Module):
    """In the place of a transformer; remembers the attention mask."""

    def forward(self, tokens, attention_mask=None):
        self.attention_mask = attention_mask
        return Hidden(tokens * 10)


class PlusOne(nn.Module):
    """In the place of a norm."""

    def forward(self, tokens):
        return tokens + 1


class ImageTokens(nn.Module):
    """One token of one number for the image, and for each masked patch."""

    def forward(self, image, image_patches_mask=None):
        self.mask = image_patches_mask
        return Embeddings(image.mean(dim=(1, 2, 3)).view(-1, 1, 1))


class TextTokens(nn.Module):
    def forward(self, input_ids):
        return input_ids.unsqueeze(-1).float()


def test_cls_is_the_first_token_after_the_norm():
    tokens = torch.arange(12.0).view(2, 3, 2)
    output = EncoderOutput(tokens=tokens, hidden=-tokens)
    assert output.cls.tolist() == [[0, 1], [6, 7]]


class TestImage:
    @pytest.fixture
    def encoder(self):
        return ImageTransformerEncoder(ImageTokens(), TimesTen(), PlusOne(), (2, 1))

    def test_before_and_after_the_norm(self, encoder):
        image = torch.tensor([2.0, 3.0]).view(2, 1, 1, 1).expand(2, 3, 4, 2)
        output = encoder(image)
        assert output.hidden.flatten().tolist() == [20, 30]
        assert output.tokens.flatten().tolist() == [21, 31]
        assert encoder.grid == (2, 1)
        assert (
            encoder.embeddings.mask is None and encoder.encoder.attention_mask is None
        )

    def test_the_mask_goes_to_the_embeddings(self, encoder):
        mask = torch.tensor([[True, False]])
        encoder(torch.zeros(1, 3, 4, 2), mask)
        assert encoder.embeddings.mask is mask

    def test_a_hidden_patch_is_the_mask_token_at_its_place(self):
        embeddings = PatchEmbeddings((4, 2), 2, hidden_size=1, use_image_masking=True)
        with torch.no_grad():
            embeddings.conv_projection.weight.fill_(1 / 12)  # the mean of the patch
            embeddings.cls_token.fill_(7.0)
            embeddings.mask_token.fill_(-5.0)
            embeddings.position_embeddings.copy_(
                torch.tensor([0.0, 0.5, 0.25]).view(1, 3, 1)
            )
        encoder = ImageTransformerEncoder(embeddings, TimesTen(), PlusOne(), (2, 1))
        image = torch.tensor([1.0, 2.0]).repeat_interleave(2).view(1, 1, 4, 1)
        image = image.expand(1, 3, 4, 2)
        whole = encoder(image).hidden.flatten()
        torch.testing.assert_close(whole, torch.tensor([70.0, 15.0, 22.5]))
        hidden = encoder(image, torch.tensor([[False, True]])).hidden.flatten()
        torch.testing.assert_close(hidden, torch.tensor([70.0, 15.0, -47.5]))


class TestText:
    @pytest.fixture
    def encoder(self):
        return TextTransformerEncoder(TextTokens(), TimesTen(), PlusOne(), max_length=3)

    def test_before_and_after_the_norm(self, encoder):
        output = encoder(torch.tensor([[2, 3]]))
        assert output.hidden.flatten().tolist() == [20, 30]
        assert output.tokens.flatten().tolist() == [21, 31]
        assert encoder.encoder.attention_mask is None

    def test_padding_is_not_attended_to(self, encoder):
        encoder(
            torch.tensor([[2, 0], [2, 3]]), torch.tensor([[False, True], [False] * 2])
        )
        mask = encoder.encoder.attention_mask
        assert mask.dtype == torch.bool and mask.shape == (2, 1, 1, 2)
        assert mask.flatten().tolist() == [True, False, True, True]

    def test_the_longest_caption(self, encoder):
        assert encoder(torch.ones(1, 3, dtype=torch.long)).tokens.shape == (1, 3, 1)
        with pytest.raises(
            ValueError,
            match="captions have 4 tokens, but .* positions for 3; truncate them .* max_text_length",
        ):
            encoder(torch.ones(1, 4, dtype=torch.long))


class TestMultimodal:
    @pytest.fixture
    def encoder(self):
        encoder = MultimodalTransformerEncoder(TimesTen(), PlusOne(), d_model=1)
        nn.init.constant_(encoder.cls_token, 4.0)
        return encoder

    def test_the_class_token_comes_first(self, encoder):
        tokens = encoder(torch.tensor([[[2.0], [3.0]], [[5.0], [6.0]]]))
        assert tokens.squeeze(-1).tolist() == [[41, 21, 31], [41, 51, 61]]
        assert encoder.encoder.attention_mask is None

    def test_the_class_token_is_never_padding(self, encoder):
        encoder(torch.zeros(1, 2, 1), torch.tensor([[False, True]]))
        assert encoder.encoder.attention_mask.flatten().tolist() == [True, True, False]

    def test_the_stream_is_as_precise_as_the_class_token(self, encoder):
        # under autocast a projection gives bfloat16, whose sums over the layers would lose what each layer adds
        assert (
            encoder(torch.zeros(1, 2, 1, dtype=torch.bfloat16)).dtype == torch.float32
        )
        encoder = encoder.to(torch.bfloat16)
        tokens = encoder(torch.zeros(1, 2, 1, dtype=torch.bfloat16))
        assert tokens.dtype == torch.bfloat16
