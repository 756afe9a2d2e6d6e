# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch.testing import assert_close
from torchmultimodal.models.clip.image_encoder import CLIPViTEncoder
from torchmultimodal.models.clip.text_encoder import CLIPTextEncoder
from torchmultimodal_reid.modules.encoders.clip_tokens import (
    CLIPImageTokens,
    CLIPTextTokens,
    swap_ends,
)

END = 19


@pytest.fixture
def no_grad():
    with torch.no_grad():
        yield


@pytest.fixture
def image_clip():
    torch.manual_seed(0)
    return CLIPViTEncoder(
        embedding_dim=6, patch_size=4, image_size=8, width=8, heads=2, layers=2
    ).eval()


@pytest.fixture
def text_clip():
    torch.manual_seed(0)
    return CLIPTextEncoder(
        embedding_dim=6,
        context_length=7,
        vocab_size=20,
        width=8,
        dim_feedforward=16,
        heads=2,
        layers=2,
    ).eval()


@pytest.fixture
def text():
    """Two captions that begin with 18, end with 19, and are filled up with a word."""
    return torch.tensor([[18, 3, 4, 5, END, 0, 0], [18, 6, END, 0, 0, 0, 0]])


class TestSwapEnds:
    def test_to_the_last_that_is_no_padding(self):
        tokens = torch.arange(8.0).view(2, 4, 1)
        padding = torch.tensor([[False, False, False, True], [False] * 4])
        found = swap_ends(tokens, padding).squeeze(2)
        assert found.tolist() == [[2, 1, 0, 3], [7, 5, 6, 4]]
        assert swap_ends(tokens).squeeze(2).tolist() == [[3, 1, 2, 0], [7, 5, 6, 4]]

    def test_rows_of_one_token_and_of_none(self):
        tokens = torch.arange(6.0).view(2, 3, 1)
        padding = torch.tensor([[False, True, True], [True, True, True]])
        assert swap_ends(tokens, padding).equal(tokens)
        assert swap_ends(tokens[:, :1]).equal(tokens[:, :1])


@pytest.mark.usefixtures("no_grad")
class TestImage:
    def test_the_first_token_is_what_clip_pools(self, image_clip):
        image = torch.randn(3, 3, 8, 8)
        output = CLIPImageTokens(image_clip, (2, 2))(image)
        assert output.tokens.shape == (3, 5, 8) and output.hidden is output.tokens
        pooled = output.cls @ image_clip.projection
        assert_close(pooled, image_clip(image), rtol=0, atol=1e-5)

    def test_images_of_another_shape(self, image_clip):
        image_clip.positional_embedding = torch.nn.Parameter(torch.randn(4, 8))
        encoder = CLIPImageTokens(image_clip, (3, 1))
        assert encoder(torch.randn(2, 3, 12, 4)).tokens.shape == (2, 4, 8)
        with pytest.raises(ValueError, match="got images of 8x8 pixels, expected 12x4"):
            encoder(torch.randn(2, 3, 8, 8))

    def test_a_hidden_patch_is_a_patch_of_zeros(self, image_clip):
        encoder = CLIPImageTokens(image_clip, (2, 2))
        image = torch.randn(2, 3, 8, 8)
        hidden = torch.tensor([[False, True, False, False]] * 2)
        painted = image.clone()
        painted[:, :, :4, 4:] = 0
        assert_close(encoder(image, hidden), encoder(painted), rtol=0, atol=1e-6)
        assert (encoder(image).tokens - encoder(painted).tokens).abs().max() > 1e-3

    def test_positions_of_another_grid(self, image_clip):
        with pytest.raises(ValueError, match="has 5 positions, expected 9: .* 4x2 pat"):
            CLIPImageTokens(image_clip, (4, 2))


@pytest.mark.usefixtures("no_grad")
class TestText:
    def test_the_first_token_is_what_clip_pools(self, text_clip, text):
        output = CLIPTextTokens(text_clip)(text, text.new_tensor(PADDING).bool())
        assert output.tokens.shape == (2, 7, 8) and output.hidden is output.tokens
        pooled = text_clip.projection(output.cls)
        assert_close(pooled, text_clip(text), rtol=0, atol=1e-5)

    def test_the_other_tokens_stay(self, text_clip, text):
        padding = text.new_tensor(PADDING).bool()
        tokens = CLIPTextTokens(text_clip)(text, padding).tokens
        theirs = text_clip(text, return_hidden_state=True)
        expected = [[4, 1, 2, 3, 0, 5, 6], [2, 1, 0, 3, 4, 5, 6]]
        for row, order in enumerate(expected):
            assert_close(tokens[row], theirs[row, order], rtol=0, atol=1e-5)

    def test_padding_changes_nothing(self, text_clip, text):
        encoder = CLIPTextTokens(text_clip)
        padding = text.new_tensor(PADDING).bool()
        filled = text.masked_fill(padding, 7)
        before, after = encoder(text, padding).tokens, encoder(filled, padding).tokens
        assert_close(before[~padding], after[~padding], rtol=0, atol=1e-6)
        assert_close(encoder(text[:1, :5]).tokens, before[:1, :5], rtol=0, atol=1e-5)

    def test_too_long(self, text_clip):
        encoder = CLIPTextTokens(text_clip)
        assert encoder.max_length == 7
        with pytest.raises(ValueError, match="have 8 tokens, but .* positions for 7; "):
            encoder(torch.zeros(1, 8, dtype=torch.long))


PADDING = [[0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1, 1]]
