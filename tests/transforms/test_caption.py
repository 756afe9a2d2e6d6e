# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.transforms.caption import CaptionTransform, swap_left_right
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer


@pytest.fixture(scope="module")
def tokenizer():
    captions = ["A red coat, a blue coat.", "Seen from the left or from the right."]
    return WordPieceTokenizer.train(captions, vocab_size=200)


@pytest.mark.parametrize(
    "caption, expected",
    [
        ("seen from the left", "seen from the right"),
        ("Left arm, RIGHT leg.", "Right arm, LEFT leg."),
        ("left to right", "right to left"),
        ("a left-hand pocket", "a right-hand pocket"),
        ("the leftmost, lefthand bag", "the rightmost, righthand bag"),
        ("bright leftover frights", "bright leftover frights"),
        ("left_side", "right_side"),
        ("front view", "front view"),
    ],
)
def test_swap_left_right(caption, expected):
    assert swap_left_right(caption) == expected
    assert swap_left_right(expected) == caption


class TestCaptionTransform:
    def test_gives_token_ids(self, tokenizer):
        text = CaptionTransform(tokenizer)("A red coat")
        assert text.dtype == torch.long and text.dim() == 1
        assert text.tolist() == tokenizer.encode("a red coat")

    def test_swaps_sides_of_a_flipped_image(self, tokenizer):
        transform = CaptionTransform(tokenizer)
        flipped = transform("seen from the left", flipped=True)
        assert torch.equal(flipped, transform("seen from the right"))

    def test_truncates_and_keeps_the_end_token(self, tokenizer):
        whole = tokenizer.encode("a red coat , a blue coat")
        text = CaptionTransform(tokenizer, max_length=5)("a red coat , a blue coat")
        assert text.tolist() == whole[:4] + [tokenizer.sep_id]

    def test_caption_of_exactly_the_maximum_length(self, tokenizer):
        length = len(tokenizer.encode("a red coat"))
        transform = CaptionTransform(tokenizer, max_length=length, overflow="error")
        assert len(transform("a red coat")) == length

    def test_refuses_a_caption_past_the_maximum_length(self, tokenizer):
        length = len(tokenizer.encode("a red coat"))
        transform = CaptionTransform(tokenizer, max_length=length - 1, overflow="error")
        with pytest.raises(
            ValueError,
            match=f"'a red coat' has {length} tokens, more than max_length {length - 1}",
        ):
            transform("a red coat")

    @pytest.mark.parametrize("caption", ["", "  ", "\n", "\u200b"])
    def test_empty_caption(self, tokenizer, caption):
        with pytest.raises(ValueError, match="is empty; expected some words"):
            CaptionTransform(tokenizer)(caption)

    def test_only_unknown_words(self, tokenizer):
        with pytest.raises(
            ValueError, match="knows no word of the caption '\u00e6 \u00f8'"
        ):
            CaptionTransform(tokenizer)("\u00e6 \u00f8")
        assert len(CaptionTransform(tokenizer)("\u00e6 coat")) >= 4

    def test_arguments(self, tokenizer):
        with pytest.raises(ValueError, match="max_length must be at least 3.*got 2"):
            CaptionTransform(tokenizer, max_length=2)
        with pytest.raises(ValueError, match="'truncate' or 'error', got 'cut'"):
            CaptionTransform(tokenizer, overflow="cut")
