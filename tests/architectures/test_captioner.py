# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torchmultimodal_reid.architectures.caption_tasks import (
    MaskedCaptionModel,
    TokenClassifier,
)
from torchmultimodal_reid.architectures.captioner import (
    BidirectionalCaptioner,
    reverse_captions,
)
from torchmultimodal_reid.models.vtbr import caption_decoder, text_ends
from torchmultimodal_reid.modules.losses.captioning import CaptioningLoss

SIZES = {
    "d_model": 16,
    "n_layer": 1,
    "n_head": 4,
    "dim_feedforward": 32,
    "dropout": 0.0,
}
TEXT = torch.tensor([[2, 7, 9, 8, 3], [2, 6, 3, 0, 0]])
PADDING = TEXT == 0


def parts():
    torch.manual_seed(0)
    return nn.Conv2d(3, 6, 4, stride=4), *text_ends(6, 12, 8, 16, 0.0)


@pytest.fixture
def captioner():
    visual, projection, embedding, output = parts()
    decoders = [caption_decoder(**SIZES) for _ in range(2)]
    return BidirectionalCaptioner(visual, projection, embedding, *decoders, output)


@pytest.fixture
def image():
    return torch.randn(2, 3, 16, 8, generator=torch.Generator().manual_seed(1))


def test_reverse_captions():
    expected = [[3, 8, 9, 7, 2], [3, 6, 2, 0, 0]]
    assert reverse_captions(TEXT, PADDING).tolist() == expected
    nothing = torch.zeros(1, 3, dtype=torch.long)
    assert torch.equal(reverse_captions(nothing, nothing == 0), nothing)


def test_logits_where_tokens_count(captioner, image):
    output = captioner(image, TEXT, PADDING)
    assert output.forward_target.tolist() == [7, 9, 8, 3, 6, 3]
    assert output.backward_target.tolist() == [8, 9, 7, 2, 6, 2]
    assert output.forward_logits.shape == output.backward_logits.shape == (6, 12)


def test_more_padding_changes_nothing(captioner, image):
    output = captioner(image, TEXT, PADDING)
    longer = nn.functional.pad(TEXT, (0, 2))
    for a, b in zip(output, captioner(image, longer, longer == 0)):
        torch.testing.assert_close(a, b)


def test_without_padding(captioner, image):
    for a, b in zip(
        captioner(image, TEXT[:, :3]), captioner(image, TEXT[:, :3], PADDING[:, :3])
    ):
        assert torch.equal(a, b)


def test_captions_of_padding_alone(captioner, image):
    nothing = torch.zeros_like(TEXT)
    loss = CaptioningLoss()(*captioner(image, nothing, nothing == 0))
    loss.total.backward()
    assert loss.total.item() == 0
    for name, parameter in captioner.named_parameters():
        assert torch.equal(parameter.grad, torch.zeros_like(parameter)), name


def test_every_weight_learns(captioner, image):
    CaptioningLoss()(*captioner(image, TEXT, PADDING)).total.backward()
    for name, parameter in captioner.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_a_direction_reads_its_own_side(captioner, image):
    other = TEXT.clone()
    other[0, 3] = 5  # the last word of the first caption
    a, b = captioner(image, TEXT, PADDING), captioner(image, other, PADDING)
    # forwards it comes after the first three predictions, backwards before all but the first
    torch.testing.assert_close(a.forward_logits[:3], b.forward_logits[:3])
    torch.testing.assert_close(a.backward_logits[0], b.backward_logits[0])
    for row in (1, 2, 3):
        assert (a.backward_logits[row] - b.backward_logits[row]).abs().max() > 1e-5


def test_forward_only(captioner, image):
    both = captioner(image, TEXT, PADDING)
    captioner.backward_decoder = None
    output = captioner(image, TEXT, PADDING)
    torch.testing.assert_close(output.forward_logits, both.forward_logits)
    assert output.backward_logits is None and output.backward_target is None
    with pytest.raises(ValueError, match="no backward decoder"):
        captioner.start(image, backward=True)


@pytest.mark.parametrize("backward", [False, True])
def test_token_by_token_equals_at_once(captioner, image, backward):
    captioner.eval()
    text = TEXT[:, :3]
    logits, target = captioner(image, text)[2 * backward : 2 * backward + 2]
    given = text.flip(1) if backward else text
    assert given[:, 1:].flatten().tolist() == target.tolist()
    cache = captioner.start(image, backward)
    for i in range(2):
        step, cache = captioner.step(given[:, i], cache)
        torch.testing.assert_close(step, logits.view(2, 2, -1)[:, i])


def test_wrong_captions(captioner, image):
    with pytest.raises(ValueError, match=r"have 1 tokens, expected \[CLS\], words"):
        captioner(image, TEXT[:, :1])
    with pytest.raises(ValueError, match="9 tokens, but there are positions for 8"):
        captioner(image, torch.ones(2, 10, dtype=torch.long))


def test_masked_words(image):
    visual, projection, embedding, output = parts()
    decoder = caption_decoder(**SIZES, causal=False)
    model = MaskedCaptionModel(visual, projection, embedding, decoder, output)
    masked = torch.zeros_like(PADDING)
    masked[0, 1] = masked[1, 1] = True
    hidden = TEXT.masked_fill(masked, 4)
    prediction = model(image, TEXT, hidden, masked, PADDING)
    assert prediction.target.tolist() == [7, 6]
    assert prediction.prediction.shape == (2, 12)
    # words on both sides are read
    for column in (2, 3):
        other = hidden.clone()
        other[0, column] = 5
        changed = model(image, TEXT, other, masked, PADDING).prediction
        assert (changed[0] - prediction.prediction[0]).abs().max() > 1e-5
        torch.testing.assert_close(changed[1], prediction.prediction[1])


def test_token_classification(image):
    model = TokenClassifier(nn.Identity(), nn.Linear(3, 12))
    expected = model.output(image.flatten(2).mean(dim=2))
    torch.testing.assert_close(model(image), expected)
