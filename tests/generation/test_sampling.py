# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.generation.cached_steps import CachedSteps
from torchmultimodal_reid.generation.protocols import TokenIds
from torchmultimodal_reid.generation.sampling import Greedy, NucleusSampling

PAD, START, END = 0, 2, 3
IDS = TokenIds(start=START, end=END)
CHOICES = {2: {5: 0.5, 6: 0.3, 7: 0.15, 8: 0.05}}


def shares(found):
    first = found.tokens[0, :, 0].tolist()
    return {token: first.count(token) / len(first) for token in set(first)}


def sample(steps, **options):
    generator = torch.Generator().manual_seed(0)
    search = NucleusSampling(num_captions=4000, generator=generator, **options)
    return search(steps, 1, IDS, 9)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"top_p": 1.0}, {5: 0.5, 6: 0.3, 7: 0.15, 8: 0.05}),
        # 0.5 is not enough, with 6 it is 0.8
        ({"top_p": 0.7}, {5: 0.625, 6: 0.375}),
        ({"top_p": 0.4}, {5: 1.0}),
        # the square root of the probabilities, or their square
        ({"top_p": 1.0, "temperature": 2.0}, {5: 0.379, 6: 0.294, 7: 0.208, 8: 0.120}),
        ({"top_p": 1.0, "temperature": 0.5}, {5: 0.685, 6: 0.247, 7: 0.062, 8: 0.007}),
    ],
)
def test_shares(table, options, expected):
    # 4,000 draws deviate by at most 0.008; this is four times that
    assert shares(sample(table(CHOICES), **options)) == pytest.approx(
        expected, abs=0.032
    )


def test_log_probabilities_are_the_models_own(table):
    found = sample(table(CHOICES), top_p=0.7)
    probabilities = found.log_probs[0, :, 0].exp()
    expected = torch.where(found.tokens[0, :, 0] == 5, 0.5, 0.3).double()
    torch.testing.assert_close(probabilities, expected)
    torch.testing.assert_close(found.scores, found.log_probs.sum(dim=-1))


def test_a_generator_repeats_itself(captioner):
    model = captioner()
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))

    def draw(seed):
        search = NucleusSampling(
            num_captions=6, generator=torch.Generator().manual_seed(seed)
        )
        return search(CachedSteps(model, images), 2, IDS, 9)

    first, again, other = draw(0), draw(0), draw(1)
    assert torch.equal(first.tokens, again.tokens)
    assert first.tokens.shape != other.tokens.shape or not torch.equal(
        first.tokens, other.tokens
    )


@torch.no_grad()
def test_log_probabilities_of_what_was_drawn(captioner):
    # whatever was drawn, the whole caption at once has the same log-probabilities as token by token
    model = captioner()
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    search = NucleusSampling(
        top_p=1.0, num_captions=5, generator=torch.Generator().manual_seed(0)
    )
    found = search(CachedSteps(model, images), 2, IDS, 9)
    tokens = found.tokens.flatten(0, 1)
    text = torch.nn.functional.pad(tokens, (1, 0), value=START)
    output = model(images.repeat_interleave(5, dim=0), text, text == PAD)
    whole = output.forward_logits.log_softmax(-1)
    whole = whole.gather(1, output.forward_target.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(found.log_probs.flatten(0, 1)[tokens != PAD], whole)
    assert (found.log_probs.flatten(0, 1)[tokens == PAD] == 0).all()
    assert (tokens == PAD).any()


def test_greedy_stops_early(table):
    steps = table({2: {5: 1.0}})
    found = Greedy()(steps, 3, IDS, 50)
    assert found.tokens.tolist() == [[[5, END]]] * 3
    assert len(steps.calls) == 2


def test_the_length_is_bounded(table):
    steps = table({2: {5: 1.0}, 5: {5: 1.0}})
    assert Greedy()(steps, 1, IDS, 4).tokens.tolist() == [[[5, 5, 5, 5]]]
    assert len(steps.calls) == 4


@pytest.mark.parametrize(
    "options, message",
    [
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, got 0.0"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"num_captions": 0}, "num_captions must be at least 1, got 0"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        NucleusSampling(**options)
