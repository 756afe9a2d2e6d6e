# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask


class Forbidden(nn.Module):
    """Stands in for a part that must not be used."""

    def forward(self, *inputs):
        raise AssertionError("a part of the absent modality was used")


@pytest.fixture
def model(build_mmet):
    return build_mmet().eval()


@pytest.fixture
def masks(pairs):
    masked_patches = torch.arange(8).expand(4, 8) % 3 == 0
    masked_tokens = torch.arange(7).expand(4, 7) % 3 == 1
    masked_text = pairs.text.masked_fill(masked_tokens, 4)
    return MultimodalMask(masked_patches, masked_tokens, masked_text)


def pad(text, text_padding, value):
    """The same captions with three more tokens of padding."""
    text = nn.functional.pad(text, (0, 3), value=value)
    return text, nn.functional.pad(text_padding, (0, 3), value=True)


class TestPadding:
    @pytest.mark.parametrize("value", [0, 11], ids=["padding", "words"])
    def test_a_caption_can_be_padded_further(self, model, pairs, value):
        image, text, text_padding, _ = pairs
        expected = model(image, text, text_padding)
        got = model(image, *pad(text, text_padding, value))
        words = ~text_padding
        for ours, theirs in zip(got.text, expected.text):
            # another length is another order of additions in the attention's kernel: 1.4e-6 on torch 2.3
            assert_close(ours[:, :7][words], theirs[words], rtol=0, atol=5e-6)
        fused = torch.cat([torch.ones(4, 1 + 9, dtype=torch.bool), words], dim=1)
        assert_close(
            got.multimodal[:, :17][fused],
            expected.multimodal[fused],
            rtol=0,
            atol=2e-6,
        )

    def test_what_stands_at_padding_changes_nothing(self, model, pairs):
        image, text, text_padding, _ = pairs
        other = text.masked_fill(text_padding, 13)
        expected, got = model(image, text, text_padding), model(
            image, other, text_padding
        )
        words = ~text_padding
        assert torch.equal(got.text.tokens[words], expected.text.tokens[words])
        assert torch.equal(got.multimodal[:, :10], expected.multimodal[:, :10])
        # and without being told of the padding, the model reads it
        assert not torch.allclose(model(image, other).text.cls, got.text.cls, atol=1e-3)

    def test_a_batch_without_padding_needs_no_mask(self, model, pairs):
        text = pairs.text[:, :4]
        nothing = torch.zeros_like(text, dtype=torch.bool)
        assert_close(
            model(text=text, text_padding=nothing), model(text=text), rtol=0, atol=1e-6
        )


class TestOneModality:
    def test_image_alone(self, model, pairs):
        both = model(*pairs[:3])
        for part in ("text_encoder", "text_to_mm", "text_projection"):
            setattr(model, part, Forbidden())
        alone = model(pairs.image)
        assert alone.text is None
        assert_close(alone.image, both.image, rtol=0, atol=0)
        # [CLS_M], [CLS_I] and 4 x 2 patches
        assert alone.multimodal.shape == (4, 1 + 1 + 8, 32)
        assert_close(alone.multimodal, model.encode_multimodal(image=both.image))

    def test_text_alone(self, model, pairs):
        both = model(*pairs[:3])
        for part in ("image_encoder", "image_to_mm", "image_projection"):
            setattr(model, part, Forbidden())
        alone = model(text=pairs.text, text_padding=pairs.text_padding)
        assert alone.image is None
        assert_close(alone.text, both.text, rtol=0, atol=0)
        assert alone.multimodal.shape == (4, 1 + 7, 32)
        expected = model.encode_multimodal(
            text=both.text, text_padding=pairs.text_padding
        )
        assert_close(alone.multimodal, expected)

    def test_a_caption_that_is_all_padding_is_no_caption(self, model, pairs):
        # so nothing is lost where there is no dummy in the place of the missing modality
        alone = model(pairs.image)
        dummy = EncoderOutput(*[torch.randn(4, 7, 24)] * 2)
        nothing = torch.ones(4, 7, dtype=torch.bool)
        fused = model.encode_multimodal(alone.image, dummy, nothing)
        assert_close(fused[:, :10], alone.multimodal, rtol=0, atol=1e-6)

    def test_both_differ_from_each_alone(self, model, pairs):
        image, text, padding, _ = pairs
        cls = [
            model(image, text, padding).multimodal[:, 0],
            model(image).multimodal[:, 0],
            model(text=text, text_padding=padding).multimodal[:, 0],
        ]
        for one, other in ((0, 1), (0, 2), (1, 2)):
            assert (cls[one] - cls[other]).norm(dim=1).min() > 0.1


class TestMask:
    def test_hidden_patches_are_not_seen(self, model, pairs, masks):
        hidden = masks.masked_patches.view(4, 1, 4, 2)
        hidden = hidden.repeat_interleave(8, 2).repeat_interleave(8, 3)
        noise = torch.randn(pairs.image.shape)
        got = model(torch.where(hidden, noise, pairs.image), mask=masks)
        assert_close(got, model(pairs.image, mask=masks), rtol=0, atol=0)
        # a patch that is not hidden is seen
        seen = model(torch.where(hidden, pairs.image, noise), mask=masks)
        assert not torch.allclose(seen.multimodal, got.multimodal, atol=1e-2)

    def test_hidden_words_are_not_read(self, model, pairs, masks):
        _, text, padding, _ = pairs
        other = torch.where(masks.masked_tokens, 19 - text, text)
        got = model(text=other, text_padding=padding, mask=masks)
        expected = model(text=text, text_padding=padding, mask=masks)
        assert_close(got, expected, rtol=0, atol=0)
        expected = model(text=masks.masked_text, text_padding=padding)
        assert_close(got, expected, rtol=0, atol=0)

    def test_a_mask_without_a_half_leaves_that_half_whole(self, model, pairs, masks):
        image, text, padding, _ = pairs
        whole = model(image, text, padding)
        patches = model(image, text, padding, MultimodalMask(masks.masked_patches))
        words = model(image, text, padding, masks._replace(masked_patches=None))
        assert torch.equal(patches.text.tokens, whole.text.tokens)
        assert not torch.equal(patches.image.tokens, whole.image.tokens)
        assert torch.equal(words.image.tokens, whole.image.tokens)
        assert not torch.equal(words.text.tokens, whole.text.tokens)

    def test_drawn_for_the_modalities_that_are_there(self, build_pretraining, pairs):
        model = build_pretraining().mmet
        image, text, padding, _ = pairs
        generator = torch.Generator().manual_seed(0)
        drawn = model.draw_mask(image, generator=generator)
        assert drawn.masked_patches.sum(dim=1).tolist() == [4] * 4
        assert drawn.masked_tokens is None and drawn.masked_text is None
        drawn = model.draw_mask(text=text, generator=generator)
        assert drawn.masked_patches is None
        assert drawn.masked_tokens.any() and not drawn.masked_tokens[padding].any()
        drawn = model.draw_mask(image, text, generator)
        assert all(part.shape[0] == 4 for part in drawn)

    def test_drawn_from_the_generator(self, build_pretraining, pairs):
        model = build_pretraining().mmet

        def draw(seed):
            return model.draw_mask(*pairs[:2], torch.Generator().manual_seed(seed))

        assert_close(draw(0), draw(0))
        assert not torch.equal(draw(0).masked_patches, draw(1).masked_patches)


class TestErrors:
    def test_no_modality(self, model):
        expected = "got neither image nor text, expected one of them or both"
        with pytest.raises(ValueError, match=expected):
            model()
        with pytest.raises(ValueError, match="got neither image nor text tokens"):
            model.encode_multimodal()

    def test_other_numbers_of_images_and_captions(self, model, pairs):
        with pytest.raises(ValueError, match="got 4 images and 3 captions"):
            model(pairs.image, pairs.text[:3])

    def test_no_masking_module(self, model, pairs):
        with pytest.raises(ValueError, match="built without a masking module"):
            model.draw_mask(pairs.image)

    def test_nothing_to_mask(self, build_pretraining):
        with pytest.raises(ValueError, match="got neither image nor text to mask"):
            build_pretraining().mmet.draw_mask()

    def test_an_image_of_another_size(self, model, pairs):
        with pytest.raises(ValueError, match="(?s)16.32.* doesn't match .*32.16"):
            model(pairs.image.transpose(2, 3))

    def test_a_caption_past_the_last_position(self, model):
        with pytest.raises(ValueError, match="captions have 13 tokens.* for 12"):
            model(text=torch.ones(1, 13, dtype=torch.long))
