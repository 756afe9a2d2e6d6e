# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import inspect

import pytest
import torch
from torchmultimodal_reid.models.vtbr import vtbr, vtbr_r18, vtbr_r50
from torchmultimodal_reid.models.vtbr_ablations import (
    ABLATIONS,
    vtbr_ablation,
    vtbr_masked_lm,
    vtbr_token_classification,
)
from torchvision.models import get_model


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def linear(inputs, outputs):
    return inputs * outputs + outputs


def layer(d, feedforward):
    """Parameters of a decoder layer: two attentions, feed-forward, three norms."""
    attention = linear(d, 3 * d) + linear(d, d)
    return 2 * attention + linear(d, feedforward) + linear(feedforward, d) + 6 * d


def expected_size(backbone, d, layers=1, decoders=2, vocab=10000, length=40):
    with torch.device("meta"):
        cnn = get_model(backbone)
    text = (vocab + length) * d + 2 * d + vocab  # the output's weight is the words'
    visual = size(cnn) - size(cnn.fc)
    return (
        visual
        + linear(cnn.fc.in_features, d)
        + text
        + decoders * layers * layer(d, 4 * d)
    )


def on_meta(builder, *args, **arguments):
    with torch.device("meta"):
        return builder(*args, **arguments)


@pytest.mark.parametrize(
    "builder, expected",
    [
        (vtbr, expected_size("resnet50", 1024)),
        (vtbr_r50, expected_size("resnet50", 1024)),
        (vtbr_r18, expected_size("resnet18", 256)),
    ],
)
def test_number_of_parameters(builder, expected):
    assert size(on_meta(builder)) == expected


SIZES = {
    "bicaptioning_r50_l1_h512": expected_size("resnet50", 512),
    "bicaptioning_r50_l1_h768": expected_size("resnet50", 768),
    "bicaptioning_r50_l1_h1024": expected_size("resnet50", 1024),
    "bicaptioning_r50_l1_h2048": expected_size("resnet50", 2048),
    "bicaptioning_r50_l2_h1024": expected_size("resnet50", 1024, 2),
    "bicaptioning_r50_l3_h1024": expected_size("resnet50", 1024, 3),
    "bicaptioning_r50_l4_h1024": expected_size("resnet50", 1024, 4),
    "bicaptioning_r50w2x_l1_h1024": expected_size("wide_resnet50_2", 1024),
    "bicaptioning_r101_l1_h1024": expected_size("resnet101", 1024),
    "captioning_r50_l1_h2048": expected_size("resnet50", 2048, decoders=1),
    "masked_lm_r50_l1_h2048": expected_size("resnet50", 2048, decoders=1),
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_ablations(name):
    model = on_meta(vtbr_ablation, name)
    if name == "token_classification_r50":
        expected = size(on_meta(get_model, "resnet50")) - linear(2048, 1000)
        assert size(model) == expected + linear(2048, 10000)
    else:
        assert size(model) == SIZES[name]
    heads = [
        part.n_head
        for part in model.modules()
        if type(part).__name__.endswith("ssAttention")
    ]
    width = name.split("_h")[-1]
    assert all(head * 64 == int(width) for head in heads)


def test_sizes_of_the_data():
    model = on_meta(
        vtbr_ablation, "masked_lm_r50_l1_h2048", vocab_size=50, max_text_length=9
    )
    assert model.embedding.words.weight.shape == (50, 2048)
    assert model.embedding.max_length == 9 and not model.decoder.causal


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return vtbr_r18(vocab_size=50, max_text_length=9)


def test_the_output_is_tied_to_the_words(small):
    assert small.output.weight is small.embedding.words.weight


def test_initial_weights(small):
    for name, parameter in small.named_parameters():
        if name.startswith("visual.") or "norm" in name:
            continue
        if name.endswith("bias"):
            assert not parameter.any(), name
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name
    assert not small.embedding.words.weight[0].any()
    # each residual block starts as the identity
    assert not small.visual.layer2[1].bn2.weight.any()
    assert small.visual.layer2[1].bn1.weight.all()


def test_the_directions_start_apart(small):
    forward, backward = small.forward_decoder, small.backward_decoder
    for a, b in zip(forward.parameters(), backward.parameters()):
        assert a is not b
    assert not torch.equal(
        forward.layers[0].attention.input_proj.weight,
        backward.layers[0].attention.input_proj.weight,
    )


def test_the_visual_part_is_a_plain_resnet(small):
    resnet = get_model("resnet18")
    # not strict, because all but the head is to be there: the next line looks at both lists
    missing, unexpected = resnet.load_state_dict(
        small.visual.state_dict(), strict=False
    )
    assert missing == ["fc.weight", "fc.bias"] and not unexpected


def test_pre_norm_and_other_backbones():
    model = on_meta(
        vtbr, backbone="mobilenet_v2", d_model=64, n_head=2, norm_first=True
    )
    assert model.projection.in_features == 1280
    assert model.forward_decoder.norm is not None
    assert all(part.norm_first for part in model.backward_decoder.layers)
    assert on_meta(vtbr_r18, backward=False).backward_decoder is None


@pytest.mark.parametrize(
    "builder", [vtbr, vtbr_r18, vtbr_r50, vtbr_masked_lm, vtbr_token_classification]
)
def test_arguments_are_named_and_what_a_checkpoint_needs(builder):
    parameters = inspect.signature(builder).parameters
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    defaults = {name: p.default for name, p in parameters.items()}
    assert defaults["image_size"] == (256, 128)
    assert defaults["vocab_size"] == 10000 and defaults["max_text_length"] == 40


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"backbone": "resnet5"}, "torchvision has no model 'resnet5', expected one"),
        ({"backbone": "vgg11"}, "VGG does not pool its feature map"),
        ({"image_size": (256, 16)}, r"at least 32 pixels each, got \(256, 16\)"),
        ({"d_model": 100}, "d_model 100 is not a multiple of n_head 16"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        on_meta(vtbr, **arguments)


def test_an_unknown_ablation():
    with pytest.raises(ValueError, match="unknown ablation 'r50'.*bicaptioning_r50_l1"):
        vtbr_ablation("r50")
