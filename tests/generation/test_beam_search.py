# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math
from functools import partial

import pytest
import torch
from torchmultimodal_reid.generation.beam_search import BeamSearch
from torchmultimodal_reid.generation.cached_steps import CachedSteps
from torchmultimodal_reid.generation.protocols import TokenIds
from torchmultimodal_reid.generation.sampling import Greedy

PAD, START, END = 0, 2, 3
IDS = TokenIds(start=START, end=END)


def plain_logits(model, image, backward, prefix):
    """Logits after a prefix, everything computed anew."""
    decoder = model.backward_decoder if backward else model.forward_decoder
    tokens = model.embedding(torch.tensor([prefix]))
    return model.output(decoder(tokens, model.encode_image(image)))[0, -1]


def plain_beam_search(next_logits, size, max_length, penalty, ngram=0):
    """One image's beam search from lists: no batch, no cache, no early stop. Best first: (tokens, score)."""
    live, ended = [(0.0, [])], []
    for length in range(1, max_length + 1):
        grown = []
        for score, tokens in live:
            log_probs = next_logits([START, *tokens]).log_softmax(-1)
            said = {
                tuple(tokens[i : i + ngram]) for i in range(len(tokens) - ngram + 1)
            }
            for token, log_prob in enumerate(log_probs.tolist()):
                new = [*tokens, token]
                repeats = ngram and tuple(new[-ngram:]) in said
                if token not in (PAD, START) and not repeats:
                    grown.append((score + log_prob, new))
        grown = sorted(grown, reverse=True)[: 2 * size]
        for score, tokens in grown[:size]:
            if tokens[-1] == END:
                ended.append((score / length**penalty, tokens))
        live = [one for one in grown if one[1][-1] != END][:size]
    cut_off = [(score / max_length**penalty, tokens) for score, tokens in live]
    return sorted(ended, reverse=True) + cut_off


def said(generated, i, j):
    return [token for token in generated.tokens[i, j].tolist() if token != PAD]


@torch.no_grad()
@pytest.mark.parametrize(
    "size, penalty, ngram, backward, norm_first",
    [
        (4, 0.0, 0, False, False),
        (4, 1.0, 0, True, False),
        (3, 0.7, 2, False, True),
        (2, 0.5, 1, True, True),
    ],
)
def test_equals_a_plain_uncached_search(
    captioner, size, penalty, ngram, backward, norm_first
):
    model = captioner(norm_first=norm_first)
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 3
    search = BeamSearch(size, penalty, num_captions=size, no_repeat_ngram=ngram)
    found = search(CachedSteps(model, images, backward), 3, IDS, 9)
    lengths = set()
    for i in range(3):
        next_logits = partial(plain_logits, model, images[i : i + 1], backward)
        plain = plain_beam_search(next_logits, size, 9, penalty, ngram)
        for j, (score, tokens) in enumerate(plain[:size]):
            assert said(found, i, j) == tokens
            assert found.scores[i, j].item() == pytest.approx(score, abs=1e-4)
            total = found.log_probs[i, j].sum().item() / len(tokens) ** penalty
            assert total == pytest.approx(score, abs=1e-4)
            lengths.add(len(tokens))
    assert len(lengths) > 1


@pytest.mark.parametrize("norm_first", [False, True])
def test_one_beam_is_greedy(captioner, norm_first):
    images = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(2)) * 3
    model = captioner(norm_first=norm_first)
    greedy, beam = (
        search(CachedSteps(model, images, backward=True), 8, IDS, 9)
        for search in (Greedy(), BeamSearch(beam_size=1))
    )
    assert torch.equal(greedy.tokens, beam.tokens)
    torch.testing.assert_close(greedy.log_probs, beam.log_probs)
    torch.testing.assert_close(greedy.scores, beam.scores)
    assert (greedy.tokens == END).any(dim=-1).sum() > 1


# a garden path: 5 is likelier than 6 at first, but what follows it is not
GARDEN = {2: {5: 0.6, 6: 0.4}, 5: {7: 0.5, 8: 0.5}, 6: {9: 1.0}}


def test_two_beams_leave_the_garden_path(table):
    greedy = Greedy()(table(GARDEN), 1, IDS, 5)
    assert said(greedy, 0, 0)[0] == 5
    beam = BeamSearch(beam_size=2)(table(GARDEN), 1, IDS, 5)
    assert said(beam, 0, 0) == [6, 9, END]
    assert beam.scores.item() == pytest.approx(math.log(0.4))
    assert beam.log_probs[0, 0].tolist() == pytest.approx([math.log(0.4), 0, 0])


LENGTHS = {2: {3: 0.3, 5: 0.7}, 5: {6: 0.4, 3: 0.2, 7: 0.4}, 6: {3: 1.0}, 7: {3: 1.0}}


@pytest.mark.parametrize(
    "penalty, tokens, score",
    [
        (0.0, [END], math.log(0.3)),
        (1.0, [5, 6, END], math.log(0.28) / 3),
    ],
)
def test_length_penalty(table, penalty, tokens, score):
    found = BeamSearch(4, penalty)(table(LENGTHS), 1, IDS, 5)
    assert said(found, 0, 0) in (tokens, [7 if t == 6 else t for t in tokens])
    assert found.scores.item() == pytest.approx(score)


def test_several_captions_are_the_best_first(table):
    found = BeamSearch(4, num_captions=4)(table(LENGTHS), 1, IDS, 5)
    expected = [0.3, 0.28, 0.28, 0.14]
    assert found.scores[0].exp().tolist() == pytest.approx(expected)
    assert said(found, 0, 0) == [END] and said(found, 0, 3) == [5, END]


def test_stops_when_nothing_better_can_come(table):
    steps = table({2: {3: 0.6, 5: 0.4}, 5: {5: 1.0}})
    found = BeamSearch(beam_size=2)(steps, 1, IDS, 50)
    assert len(steps.calls) == 1 and said(found, 0, 0) == [END]
    # a mean can still become better than log(0.6), since it shrinks with the length
    steps = table({2: {3: 0.6, 5: 0.4}, 5: {5: 1.0}})
    BeamSearch(beam_size=2, length_penalty=1.0)(steps, 1, IDS, 50)
    assert len(steps.calls) == 50


def test_images_end_at_different_steps(table):
    probabilities = {2: {5: 1.0}, 4: {3: 1.0}, 5: {6: 1.0}, 6: {3: 1.0}}

    class Starts:
        """The first image goes on from 2, the second from 4."""

        def __init__(self):
            self.table = table(probabilities)

        def __call__(self, tokens, parents):
            return self.table(torch.tensor([2, 4]) if parents is None else tokens, None)

    for search in (BeamSearch(beam_size=3), Greedy()):
        found = search(Starts(), 2, IDS, 9)
        assert found.tokens[:, 0].tolist() == [[5, 6, END], [END, PAD, PAD]]


def test_what_is_cut_off_comes_last(table):
    # going on is certain, ending is not: but only what ended is a caption
    steps = table({2: {5: 0.9, 6: 0.1}, 5: {5: 1.0}, 6: {3: 1.0}})
    found = BeamSearch(beam_size=2, num_captions=2)(steps, 1, IDS, 4)
    assert [said(found, 0, j) for j in (0, 1)] == [[6, END], [5, 5, 5, 5]]
    assert found.scores[0].exp().tolist() == pytest.approx([0.1, 0.9])


@pytest.mark.parametrize("search", [Greedy(2), BeamSearch(2, no_repeat_ngram=2)])
def test_no_pair_comes_twice(table, search):
    steps = table({2: {5: 1.0}, 5: {6: 1.0}, 6: {5: 0.75, 3: 0.25}})
    found = search(steps, 1, IDS, 9)
    # 5 6 5 may not go on by 6, and ending there is impossible
    best = said(found, 0, 0)
    pairs = list(zip(best, best[1:]))
    assert len(set(pairs)) == len(pairs)


def test_forbidden_tokens(table):
    steps = table({2: {5: 0.8, 6: 0.2}})
    ids = TokenIds(START, END, forbidden=(5,))
    for search in (Greedy(), BeamSearch(beam_size=2)):
        found = search(steps, 1, ids, 9)
        assert said(found, 0, 0) == [6, END]
        # its probability is the model's own
        assert found.scores.exp().item() == pytest.approx(0.2)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"beam_size": 0}, "num_captions must be from 1 to beam_size 0, got 1"),
        ({"beam_size": 2, "num_captions": 3}, "from 1 to beam_size 2, got 3"),
        ({"length_penalty": -1.0}, "length_penalty must be at least 0, got -1.0"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram must be at least 0"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        BeamSearch(**options)


def test_wrong_arguments(table):
    with pytest.raises(ValueError, match="max_length must be at least 1, got 0"):
        BeamSearch()(table({}), 1, IDS, 0)
    with pytest.raises(ValueError, match="beam_size of 7 .* twice as many .* got 12"):
        BeamSearch(beam_size=7)(table({}), 1, IDS, 5)
