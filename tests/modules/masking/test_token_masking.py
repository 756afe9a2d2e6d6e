# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.modules.masking.token_masking import TokenMasking

PAD, UNK, CLS, SEP, MASK = range(5)
VOCAB = 30
# ids from 20 on are pieces that continue a word
CONTINUATION = torch.arange(VOCAB) >= 20


def masking(**changes):
    arguments = {
        "vocab_size": VOCAB,
        "mask_id": MASK,
        "special_ids": [PAD, UNK, CLS, SEP],
    }
    return TokenMasking(**{**arguments, **changes})


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def text():
    return torch.tensor(
        [
            [CLS, 5, 21, 22, 6, 23, 7, 8, SEP],
            [CLS, 9, SEP, PAD, PAD, PAD, PAD, PAD, PAD],
            [CLS, UNK, 10, 11, 24, SEP, PAD, PAD, PAD],
            [CLS, SEP, PAD, PAD, PAD, PAD, PAD, PAD, PAD],
        ]
    )


@pytest.mark.parametrize("continuation", [None, CONTINUATION])
def test_ratio_of_one_chooses_all_but_special_tokens(text, generator, continuation):
    out = masking(ratio=1.0, continuation=continuation)(text, generator=generator)
    assert torch.equal(out.masked_tokens, text >= 5)


@pytest.mark.parametrize("continuation", [None, CONTINUATION])
def test_ratio_of_zero_chooses_none(text, generator, continuation):
    out = masking(ratio=0, continuation=continuation)(text, generator=generator)
    assert not out.masked_tokens.any()
    assert torch.equal(out.masked_text, text)


def test_number_of_tokens(text, generator):
    out = masking(ratio=0.3)(text.repeat(50, 1), generator=generator)
    # 7, 1, 3 and 0 tokens: round(2.1), at least one, round(0.9), none
    assert out.masked_tokens.sum(dim=1).view(50, 4).unique(dim=0).tolist() == [
        [2, 1, 1, 0]
    ]


def test_whole_words_fall_together(text, generator):
    whole = masking(ratio=0.5, continuation=CONTINUATION)
    masked = whole(text.repeat(200, 1), generator=generator).masked_tokens.view(
        200, 4, 9
    )
    # four words of 3, 2, 1 and 1 tokens, of which two are chosen
    words = torch.stack([masked[:, 0, i] for i in (1, 4, 6, 7)], dim=1)
    assert (words.sum(dim=1) == 2).all()
    assert len(words.unique(dim=0)) == 6
    for start, pieces in ((1, (2, 3)), (4, (5,))):
        for piece in pieces:
            assert torch.equal(masked[:, 0, piece], masked[:, 0, start])
    # 10 | 11 ##24
    assert torch.equal(masked[:, 2, 3], masked[:, 2, 4])
    assert torch.equal(masked[:, 2, 2], ~masked[:, 2, 3])


def test_words_are_chosen_alike(generator):
    text = torch.tensor([[CLS, 5, 21, 22, 6, 23, 7, 8, SEP]]).repeat(10000, 1)
    whole = masking(ratio=0.25, continuation=CONTINUATION)
    masked = whole(text, generator=generator).masked_tokens.float().mean(dim=0)
    # one of four words, deviation 0.0043
    torch.testing.assert_close(
        masked[[1, 4, 6, 7]], torch.full((4,), 0.25), rtol=0, atol=0.025
    )


def test_a_piece_with_nothing_to_continue_is_a_word(generator):
    text = torch.tensor([[CLS, 21, 22, SEP], [21, 5, UNK, 23]]).repeat(100, 1)
    whole = masking(ratio=0.5, continuation=CONTINUATION)
    masked = whole(text, generator=generator).masked_tokens.view(100, 2, 4)
    assert masked[:, 0].tolist() == [[False, True, True, False]] * 100
    # three words, round(1.5) = 2 of them
    assert (masked[:, 1, [0, 1, 3]].sum(dim=1) == 2).all()


def test_what_becomes_of_the_chosen(generator):
    text = torch.full((100, 1000), 7)
    out = masking(ratio=1.0)(text, generator=generator)
    became_mask = (out.masked_text == MASK).float().mean().item()
    kept = (out.masked_text == 7).float().mean().item()
    # of the random tenth, 1 in 25 draws the token that was there; deviations below 0.0013
    assert became_mask == pytest.approx(0.8, abs=0.007)
    assert kept == pytest.approx(0.1 + 0.1 / 25, abs=0.007)


def test_random_replacements_are_ordinary_and_alike(generator):
    # special ids need not come first
    random = masking(special_ids=[0, 12, 29], ratio=1.0, mask_share=0, random_share=1)
    out = random(torch.full((50, 1000), 7), generator=generator)
    counts = torch.bincount(out.masked_text.flatten(), minlength=VOCAB)
    assert counts[[0, 12, 29, MASK]].tolist() == [0] * 4
    # 26 ids, 1923 each, deviation 43
    ordinary = counts[counts > 0]
    assert len(ordinary) == 26 and ordinary.min() > 1650 and ordinary.max() < 2200


def test_shares_of_zero_leave_the_text(text, generator):
    out = masking(ratio=1.0, mask_share=0, random_share=0)(text, generator=generator)
    assert torch.equal(out.masked_text, text)
    assert out.masked_tokens.any()


def test_the_rest_of_the_text_stays(text, generator):
    before = text.clone()
    out = masking(ratio=0.5, mask_share=0.5, random_share=0.5)(
        text, generator=generator
    )
    assert torch.equal(text, before), "changed its input"
    assert torch.equal(out.masked_text[~out.masked_tokens], text[~out.masked_tokens])


def test_is_a_function_of_the_generator(text):
    text = text.repeat(20, 1)
    ranged = masking(ratio=(0.15, 0.5), continuation=CONTINUATION)
    before = torch.get_rng_state()
    first, again, other = (
        ranged(text, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first.masked_tokens, again.masked_tokens)
    assert torch.equal(first.masked_text, again.masked_text)
    assert not torch.equal(first.masked_tokens, other.masked_tokens)
    assert torch.equal(torch.get_rng_state(), before), "touched the global generator"


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_nothing_to_mask(shape):
    out = masking(continuation=CONTINUATION)(torch.zeros(shape, dtype=torch.long))
    assert out.masked_tokens.shape == shape and out.masked_text.shape == shape


def test_checkpoints_do_not_hold_its_tables():
    module = masking(continuation=CONTINUATION)
    assert not module.state_dict()
    # but they move with the model
    assert {buffer.device.type for buffer in module.to("meta").buffers()} == {"meta"}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"mask_id": 30}, r"must be in \[0, 30\), got \[30\]"),
        ({"special_ids": [0, -1]}, r"must be in \[0, 30\), got \[-1\]"),
        ({"special_ids": range(30)}, "all 30 ids of the vocabulary are special"),
        (
            {"continuation": CONTINUATION[:7]},
            r"bool of shape \(30,\).* got torch.bool of shape \(7,\)",
        ),
        ({"continuation": CONTINUATION.long()}, "got torch.int64"),
        ({"mask_share": 0.9, "random_share": 0.2}, "sum to at most 1, got 0.9 and 0.2"),
        ({"random_share": -0.1}, "must be >= 0"),
        ({"ratio": (0.5, 0.1)}, r"ratio is \(0.5, 0.1\)"),
    ],
)
def test_wrong_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        masking(**changes)


@pytest.mark.parametrize("text", [torch.zeros(4, dtype=torch.long), torch.zeros(2, 4)])
def test_wrong_text(text):
    with pytest.raises(ValueError, match=r"text must be long of shape \(b, s\), got"):
        masking()(text)
