# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import inspect

import pytest
import torch
from torch import nn
from torchmultimodal.models.flava.model import flava_model
from torchmultimodal_reid.models.flava import mmet_flava_base
from torchmultimodal_reid.models.mmet import (
    mmet,
    mmet_base,
    mmet_for_reid,
    mmet_small,
    mmet_tiny,
    transformer,
)


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def linear(inputs, outputs):
    return inputs * outputs + outputs


def layer(d, feedforward):
    """Parameters of one transformer layer: attention, feed-forward, two norms."""
    attention = linear(d, 3 * d) + linear(d, d)
    return attention + linear(d, feedforward) + linear(feedforward, d) + 2 * 2 * d


def expected_size(
    d,
    n_image,
    n_text,
    n_mm,
    *,
    patches=128,
    vocab=30522,
    length=77,
    patch=16,
    stem="linear",
):
    """Parameters of an MMET of one width ``d`` whose feed-forward blocks are four times as wide."""
    block, norm = layer(d, 4 * d), 2 * d
    cls_and_mask, positions = 2 * d, (1 + patches) * d
    pixels = linear(3 * patch**2, d)
    neighbours = 0
    if stem == "convolution":
        widths = [3, *(d >> i for i in reversed(range(patch.bit_length() - 1)))]
        halvings = zip(widths, widths[1:])
        pixels = sum(9 * i * o + 2 * o for i, o in halvings) + linear(d, d)
        neighbours = linear(3 * d, d)
    image = pixels + cls_and_mask + positions + n_image * block + norm
    text = neighbours + (vocab + length + 2) * d + norm + n_text * block + norm
    multimodal = d + n_mm * block + norm
    return image + text + multimodal + 4 * linear(d, d)


@pytest.mark.parametrize(
    "builder, sizes, stem",
    [
        (mmet_tiny, (192, 4, 2, 1), "convolution"),
        (mmet_small, (384, 8, 8, 4), "linear"),
        (mmet_base, (768, 12, 12, 6), "linear"),
    ],
)
def test_number_of_parameters(builder, sizes, stem):
    with torch.device("meta"):
        assert size(builder()) == expected_size(*sizes, stem=stem)
        changed = builder(
            image_size=(384, 128), patch_size=32, vocab_size=100, max_text_length=12
        )
    assert size(changed) == expected_size(
        *sizes, patches=12 * 4, vocab=100, length=12, patch=32, stem=stem
    )


def test_base_has_flavas_size_but_for_positions_and_poolers():
    with torch.device("meta"):
        flava, ours = flava_model(), mmet_base()
        same = mmet_flava_base()
    poolers = 3 * linear(768, 768)
    assert size(same) == size(flava) - poolers
    # 14 x 14 patches became 16 x 8, and 512 words 77
    positions = (14 * 14 - 16 * 8) * 768 + (512 - 77) * 768
    assert size(ours) == size(flava) - poolers - positions


def test_the_named_sizes_take_the_same_arguments():
    expected = set(inspect.signature(mmet_base).parameters)
    for builder in (mmet_tiny, mmet_small):
        assert set(inspect.signature(builder).parameters) == expected
    assert expected < set(inspect.signature(mmet).parameters)
    published = {"pretrained", "interpolate_positions"}
    assert expected | published == set(inspect.signature(mmet_flava_base).parameters)
    # everything by name: flat arguments in another order must not swap two sizes
    for parameter in inspect.signature(mmet).parameters.values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY


def test_arguments_reach_their_parts(tiny):
    masking = nn.Identity()
    model = mmet(**tiny, layer_norm_eps=0.25, masking=masking)
    assert model.masking is masking
    assert model.image_encoder.grid == (4, 2)
    assert model.text_encoder.max_length == 12
    assert model.text_encoder.embeddings.word_embeddings.weight.shape == (20, 24)
    assert model.image_to_mm.weight.shape == (32, 16)
    assert model.text_to_mm.weight.shape == (32, 24)
    assert model.image_projection.weight.shape == (8, 16)
    assert model.text_projection.weight.shape == (8, 24)
    norms = [part for part in model.modules() if isinstance(part, nn.LayerNorm)]
    # two a layer, a final one an encoder, one of the word embeddings
    assert len(norms) == 2 * 6 + 3 + 1
    assert {norm.eps for norm in norms} == {0.25}


@pytest.mark.parametrize("part", ["image", "text", "mm"])
def test_heads_that_do_not_divide_the_width(tiny, part):
    tiny[f"{part}_n_head"] = 5
    width = tiny[f"{part}_d_model"]
    expected = f"{part}_d_model {width} is not a multiple of {part}_n_head 5"
    with pytest.raises(ValueError, match=expected):
        mmet(**tiny)


@pytest.mark.parametrize("image_size", [(36, 16), (32, 20)])
def test_an_image_that_does_not_divide_into_patches(tiny, image_size):
    tiny["image_size"] = image_size
    with pytest.raises(
        ValueError, match=f"image_size {image_size[0]}x{image_size[1]} .* patches of 8"
    ):
        mmet(**tiny)


def test_stochastic_depth_grows_and_adds_no_weights(tiny):
    plain, dropped = mmet(**tiny), mmet(**tiny, drop_path=0.5)
    for name in ("image_encoder", "text_encoder", "mm_encoder"):
        layers = getattr(dropped, name).encoder.layer
        assert [part.attention_dropout.p for part in layers] == [0.0, 0.5]
    # so that a checkpoint can go on with another rate
    assert list(plain.state_dict()) == list(dropped.state_dict())


def test_dropped_rows_keep_their_tokens():
    torch.manual_seed(0)
    # in training, a row whose layer is dropped passes as it is: here always, at the last layer
    encoder = transformer(2, 8, 2, 16, drop_path=1.0).train()
    tokens = torch.randn(3, 4, 8)
    expected = encoder.layer[0](tokens)
    assert torch.equal(encoder(tokens).last_hidden_state, expected)
    assert not torch.equal(encoder.eval()(tokens).last_hidden_state, expected)


def test_attention_is_scaled_dot_product_attention(tiny, monkeypatch):
    calls = []
    attend = nn.functional.scaled_dot_product_attention

    def record(*arguments, **keywords):
        calls.append(arguments[0].shape)
        return attend(*arguments, **keywords)

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", record)
    text = torch.ones(1, 5, dtype=torch.long)
    mmet(**tiny)(torch.zeros(1, 3, 32, 16), text, text == 0)
    # heads x tokens x width of a head: 9 of the image, 5 of the text, 15 of both
    expected = [(1, 4, 9, 4)] * 2 + [(1, 4, 5, 6)] * 2 + [(1, 4, 15, 8)] * 2
    assert calls == expected


class TestReID:
    def test_the_neck_has_the_fused_width(self, tiny):
        model = mmet(**tiny)
        reid = mmet_for_reid(model, num_identities=5)
        assert reid.mmet is model
        assert reid.neck.classifier.weight.shape == (5, 32)

    def test_no_identities(self, tiny):
        with pytest.raises(ValueError, match="num_identities must be >= 1, got 0"):
            mmet_for_reid(mmet(**tiny), num_identities=0)


@pytest.mark.parametrize("stem", ["image_stem", "text_stem"])
def test_an_unknown_stem(tiny, stem):
    with pytest.raises(ValueError, match=f"{stem} must be 'linear' or 'convolution'"):
        mmet(**tiny, **{stem: "hybrid"})


def test_stems_of_convolutions_honour_masks_and_padding(tiny):
    torch.manual_seed(0)
    model = mmet(**tiny, image_stem="convolution", text_stem="convolution").eval()
    image = torch.randn(2, 3, 32, 16)
    text = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
    output = model(image, text, text == 0)
    further = nn.functional.pad(text, (0, 3))
    padded = model(image, further, further == 0)
    torch.testing.assert_close(padded.multimodal[:, 0], output.multimodal[:, 0])
    masked = torch.zeros(2, 8, dtype=torch.bool)
    masked[:, 3] = True
    changed = image.clone()
    changed[:, :, 8:16, 8:16] += 1  # patch 3
    for given in (image, changed):
        tokens = model.image_encoder(given, masked).tokens
        torch.testing.assert_close(tokens, model.image_encoder(image, masked).tokens)
