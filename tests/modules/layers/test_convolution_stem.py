# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torchmultimodal.modules.layers.text_embedding import BERTTextEmbeddings
from torchmultimodal_reid.modules.layers.convolution_stem import (
    ConvolutionPatchEmbeddings,
    ConvolutionTextEmbeddings,
)


class TestConvolutionPatchEmbeddings:
    @pytest.fixture
    def stem(self):
        torch.manual_seed(0)
        stem = ConvolutionPatchEmbeddings((32, 16), 8, 16)
        for token in (stem.cls_token, stem.mask_token, stem.position_embeddings):
            nn.init.normal_(token)
        return stem

    @pytest.fixture
    def masked(self):
        masked = torch.zeros(2, 8, dtype=torch.bool)
        masked[0, :3] = True
        masked[1, 5] = True
        return masked

    def test_one_token_a_patch_after_the_class_token(self, stem):
        assert stem(torch.randn(2, 3, 32, 16)).embeddings.shape == (2, 1 + 8, 16)

    def test_the_class_token_sees_no_image(self, stem):
        cls = stem(torch.randn(2, 3, 32, 16)).embeddings[:, 0]
        expected = stem.cls_token[0, 0] + stem.position_embeddings[0, 0]
        torch.testing.assert_close(cls, expected.expand(2, -1))

    def test_patches_come_row_by_row(self, stem):
        image = torch.zeros(1, 3, 32, 16)
        changed = image.clone()
        changed[..., 26:30, 10:14] = 5  # inside the last patch
        difference = stem(changed).embeddings - stem(image).embeddings
        assert difference[0, 1:].norm(dim=-1).argmax() == 7

    def test_hidden_patches_are_mask_tokens(self, stem, masked):
        tokens = stem(torch.randn(2, 3, 32, 16), image_patches_mask=masked).embeddings
        expected = (stem.mask_token + stem.position_embeddings[:, 1:]).expand(2, -1, -1)
        torch.testing.assert_close(tokens[:, 1:][masked], expected[masked])
        assert not torch.isclose(tokens[:, 1:][~masked], expected[~masked]).all(1).any()

    def test_nothing_of_a_hidden_patch_reaches_a_visible_token(self, stem, masked):
        image = torch.randn(2, 3, 32, 16, requires_grad=True)
        stem(image, image_patches_mask=masked).embeddings[:, 1:][
            ~masked
        ].sum().backward()
        pixels = image.grad.abs().sum(1).unflatten(1, (4, 8)).unflatten(3, (2, 8))
        seen = pixels.sum((2, 4)).flatten(1) > 0
        assert torch.equal(seen, ~masked)

    @pytest.mark.parametrize("patch_size", [1, 12])
    def test_a_patch_size_that_cannot_be_halved_to_one(self, patch_size):
        with pytest.raises(ValueError, match=f"power of two, got {patch_size}"):
            ConvolutionPatchEmbeddings((48, 24), patch_size, 16)

    def test_a_width_that_cannot_be_halved(self):
        with pytest.raises(
            ValueError, match="multiple of half of patch_size 16, got 4"
        ):
            ConvolutionPatchEmbeddings((32, 16), 16, 4)

    def test_another_size_is_refused(self, stem):
        with pytest.raises(ValueError, match="16x32 pixels, expected 32x16"):
            stem(torch.zeros(1, 3, 16, 32))


class TestConvolutionTextEmbeddings:
    @pytest.fixture
    def stem(self):
        torch.manual_seed(0)
        words = BERTTextEmbeddings(
            hidden_size=8, vocab_size=20, max_position_embeddings=12
        )
        return ConvolutionTextEmbeddings(words, 8).eval()

    def test_a_word_is_seen_by_its_neighbours_only(self, stem):
        text = torch.tensor([[2, 5, 6, 7, 8, 3]])
        other = torch.tensor([[2, 5, 6, 9, 8, 3]])
        changed = (stem(text) != stem(other)).any(dim=-1)[0]
        assert changed.tolist() == [False, False, True, True, True, False]

    def test_padding_changes_nothing(self, stem):
        text = torch.tensor([[2, 5, 6, 7, 3]])
        padded = torch.tensor([[2, 5, 6, 7, 3, 0, 0]])
        torch.testing.assert_close(stem(padded)[:, :5], stem(text))

    def test_an_even_number_of_words(self):
        with pytest.raises(ValueError, match="kernel_size must be odd, got 2"):
            ConvolutionTextEmbeddings(nn.Identity(), 8, kernel_size=2)
