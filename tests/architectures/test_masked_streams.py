# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The masked stream that drops: encoders see visible tokens only, decoders tell what was hidden."""

import pytest
import torch
from torch.testing import assert_close
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask

MASKED = ("mim", "mlm", "mmm_image", "mmm_text")


@pytest.fixture
def build(build_pretraining):
    def build(ratio=0.5, **changed):
        arguments = {"masked_stream": "drop", "decoder_dim": 16, "decoder_n_head": 2}
        return build_pretraining(ratio=ratio, **{**arguments, **changed})

    return build


@pytest.fixture
def ragged(pairs):
    """1, 2, 3 and 7 of 8 patches, 2, 1, 1 and 0 words."""
    masked_patches = torch.arange(8) < torch.tensor([[1], [2], [3], [7]])
    masked_tokens = torch.zeros(4, 7, dtype=torch.bool)
    masked_tokens[[0, 0, 1, 2], [1, 6, 2, 3]] = True
    return MultimodalMask(
        masked_patches, masked_tokens, pairs.text.masked_fill(masked_tokens, 4)
    )


def lengths(model):
    """How many tokens each transformer is given, by name, filled in when the model runs."""
    seen = {}

    def watch(name):
        def note(module, inputs, output):
            seen.setdefault(name, inputs[0].shape[1])

        getattr(model.mmet, f"{name}_encoder").encoder.register_forward_hook(note)

    for name in ("image", "text", "mm"):
        watch(name)
    return seen


def row(pairs, mask, i):
    """One pair of the batch, without its padding, and its mask."""
    words = ~pairs.text_padding[i]
    one = (pairs.image[i : i + 1], pairs.text[i : i + 1, words])
    return one, MultimodalMask(
        mask.masked_patches[i : i + 1],
        mask.masked_tokens[i : i + 1, words],
        mask.masked_text[i : i + 1, words],
    )


def test_encoders_see_visible_tokens_only(build, pairs, ragged):
    model = build()
    seen = lengths(model)
    model(*pairs, mask=ragged)
    # [CLS] and 7 patches of the sample that hides one; 6 words of the caption that hides none; [CLS_M]
    assert seen == {"image": 8, "text": 6, "mm": 15}


def encode(model, image, text, text_padding, mask):
    """What the masked stream encodes of images and captions, in this order."""
    return (
        model.stream.encode_image(model.mmet, image, mask),
        model.stream.encode_text(model.mmet, text, text_padding, mask),
    )


def fuse(mmet, image, text):
    """All of the multimodal encoder's tokens of what a stream encoded."""
    return mmet.encode_multimodal(
        image.output, text.output, text.padding, image.padding
    )


def test_visible_tokens_are_those_of_the_transformer_alone(build, pairs, ragged):
    mmet = (model := build().eval()).mmet
    image, text = encode(model, *pairs[:3], ragged)
    encoder = mmet.image_encoder
    tokens = encoder.embeddings(pairs.image[2:3]).embeddings[:, [0, 4, 5, 6, 7, 8]]
    expected = encoder.norm(encoder.encoder(tokens).last_hidden_state)
    assert_close(image.output.tokens[2:3, :6], expected)
    encoder = mmet.text_encoder
    tokens = encoder.embeddings(input_ids=pairs.text[2:3])[:, [0, 1, 2]]
    expected = encoder.norm(encoder.encoder(tokens).last_hidden_state)
    assert_close(text.output.tokens[2:3, :3], expected)


def test_nothing_hidden_is_the_pass_that_sees_everything(build, pairs):
    model = build(ratio=0.0).eval()
    mmet = model.mmet
    expected, nothing = mmet(*pairs[:3]), MultimodalMask()
    for mask in (nothing, mmet.draw_mask(pairs.image, pairs.text)):
        image, text = encode(model, *pairs[:3], mask)
        assert_close(image.output.tokens, expected.image.tokens)
        words = ~pairs.text_padding
        assert_close(text.output.tokens[words], expected.text.tokens[words])
        assert_close(fuse(mmet, image, text)[:, 0], expected.multimodal[:, 0])


def test_a_sample_is_the_same_whoever_else_is_in_the_batch(build, pairs, ragged):
    model = build(itm=False).eval()
    together = model(*pairs, mask=ragged)
    for name, masked in (
        ("mim", ragged.masked_patches),
        ("mmm_image", ragged.masked_patches),
        ("mlm", ragged.masked_tokens),
        ("mmm_text", ragged.masked_tokens),
    ):
        counts = masked.sum(dim=1).tolist()
        predictions = getattr(together, name).prediction.split(counts)
        targets = getattr(together, name).target.split(counts)
        for i in range(4):
            one, mask = row(pairs, ragged, i)
            alone = getattr(model(*one, mask=mask), name)
            assert_close(predictions[i], alone.prediction)
            assert torch.equal(targets[i], alone.target)


def test_what_is_hidden_does_not_leak(build, pairs, ragged):
    model = build().eval()
    hidden = ragged.masked_patches.view(4, 1, 4, 2)
    hidden = hidden.repeat_interleave(8, 2).repeat_interleave(8, 3)
    other = pairs._replace(
        image=torch.where(hidden, torch.randn(pairs.image.shape), pairs.image),
        text=torch.where(ragged.masked_tokens, 24 - pairs.text, pairs.text),
    )
    # nor does what BERT would put in its place: a dropped word is not read at all
    anything = ragged._replace(
        masked_text=torch.where(ragged.masked_tokens, 7, pairs.text)
    )
    expected, got = model(*pairs, mask=ragged), model(*other, mask=anything)
    for name in MASKED:
        ours, theirs = getattr(got, name), getattr(expected, name)
        assert torch.equal(ours.prediction, theirs.prediction)
        assert not torch.equal(ours.target, theirs.target)
    # one pass serves the contrast too
    assert torch.equal(got.image_embedding, expected.image_embedding)
    assert torch.equal(got.text_embedding, expected.text_embedding)


def test_predictions_know_their_places(build, pairs, ragged):
    output = build().eval()(*pairs, mask=ragged)
    for name in MASKED:
        first, second = getattr(output, name).prediction[[0, 1]]
        assert not torch.allclose(first, second, atol=1e-4)
    # the mm decoder sees the other modality: without it, it says something else
    alone = build().eval()(pairs.image, mask=ragged)
    assert_close(alone.mim.prediction, output.mim.prediction)
    assert not torch.allclose(
        alone.mmm_image.prediction, output.mmm_image.prediction, atol=1e-4
    )


def test_heads_run_on_hidden_places_only(build, pairs, ragged):
    model = build()
    rows = {}
    for name in MASKED:
        getattr(model, f"{name}_head").register_forward_hook(
            lambda module, inputs, output, name=name: rows.update(
                {name: tuple(inputs[0].shape)}
            )
        )
    model(*pairs, mask=ragged)
    patches, words = (1 + 2 + 3 + 7, 16), (4, 16)
    assert rows == {
        "mim": patches,
        "mmm_image": patches,
        "mlm": words,
        "mmm_text": words,
    }


def test_a_first_token_that_is_masked_stays_as_the_mask_says(build, pairs, ragged):
    model = build().eval()
    ragged.masked_tokens[:, 0] = True
    masked_text = pairs.text.masked_fill(ragged.masked_tokens, 4)
    mask = ragged._replace(masked_text=masked_text)
    output = model(*pairs, mask=mask)
    changed = pairs._replace(
        text=torch.where(ragged.masked_tokens, 24 - pairs.text, pairs.text)
    )
    got = model(*changed, mask=mask)
    assert torch.equal(got.mlm.prediction, output.mlm.prediction)
    assert len(output.mlm.target) == 8


def test_every_part_trains(build, pairs):
    model = build()
    output = model(*pairs)
    loss = sum(getattr(output, name).prediction.square().sum() for name in MASKED)
    loss = loss + output.itm.logits.square().sum() + output.logit_scale
    loss = loss + (output.image_embedding * output.text_embedding).sum()
    loss.backward()
    untrained = {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    # nothing is replaced by the image encoder's mask token
    assert untrained == {"mmet.image_encoder.embeddings.mask_token"}


@pytest.mark.parametrize("ratio", [0.0, 0.875, 1.0])
@pytest.mark.parametrize("given", ["both", "image", "text"])
def test_nothing_and_everything_hidden(build, pairs, ratio, given):
    model = build(ratio=ratio)
    arguments = {
        "both": pairs._asdict(),
        "image": {"image": pairs.image},
        "text": {"text": pairs.text, "text_padding": pairs.text_padding},
    }[given]
    output = model(**arguments)
    loss = output.logit_scale
    for name in MASKED:
        if (masked := getattr(output, name)) is not None:
            assert len(masked.prediction) == len(masked.target)
            assert (len(masked.target) > 0) == (ratio > 0)
            loss = loss + masked.prediction.square().sum()
    assert (output.mim is None) == (given == "text")
    assert (output.mlm is None) == (given == "image")
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)


def test_under_autocast(build, pairs):
    with torch.autocast("cpu", torch.bfloat16):
        output = build()(*pairs)
    assert output.image_embedding.dtype == torch.float32
    assert all(getattr(output, name).prediction.isfinite().all() for name in MASKED)


class TestNegatives:
    @pytest.mark.parametrize(
        "stream, share, expected",
        [("drop", 1.0, 8), ("drop", 0.5, 6), ("drop", 0.01, 5), ("replace", 0.5, 6)],
    )
    def test_share(self, build, pairs, stream, share, expected):
        model = build(masked_stream=stream, negative_share=share)
        itm = model(*pairs, generator=torch.Generator().manual_seed(0)).itm
        assert itm.is_match.tolist() == [True] * 4 + [False] * (expected - 4)

    @pytest.mark.parametrize("share", [0.0, 1.5])
    def test_no_share(self, build, share):
        with pytest.raises(ValueError, match=rf"in \(0, 1\], got {share}"):
            build(negative_share=share)

    def test_a_wrong_caption_brings_its_own_padding(self, build, pairs, ragged):
        model = build().eval()
        pairs = pairs._replace(identity=torch.tensor([0, 1, 1, 1]))
        # only one other person for each of the last three: caption 0
        logits = model(*pairs, mask=ragged).itm.logits[5:]
        for i, got in zip((1, 2, 3), logits):
            (image, _), mask = row(pairs, ragged, i)
            (_, text), other = row(pairs, ragged, 0)
            mask = MultimodalMask(mask.masked_patches, *other[1:])
            alone = fuse(model.mmet, *encode(model, image, text, None, mask))
            assert_close(got, model.itm_head(alone[0, 0]))

    def test_right_and_wrong_pairs_are_fused_in_one_pass(self, build, pairs):
        model, sizes = build(), []
        model.mmet.mm_encoder.register_forward_pre_hook(
            lambda module, inputs: sizes.append(len(inputs[0]))
        )
        itm = model(*pairs).itm
        assert sizes == [len(itm.logits)] == [8]
