# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""VirTex's weights and its forward pass, written here from PyTorch's own layers, against ours."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchmultimodal_reid.models.vtbr import load_virtex, vtbr, vtbr_r50
from torchmultimodal_reid.modules.losses.captioning import CaptioningLoss
from torchmultimodal_reid.utils.errors import CheckpointError
from torchmultimodal_reid.utils.key_maps import virtex_to_vtbr
from torchvision.models import get_model


class ReferenceText(nn.Module):
    """One direction: projection, embedding, decoder and tied output, by VirTex's names."""

    def __init__(self, channels, vocab, length, d_model, heads, feedforward, layers):
        super().__init__()
        self.visual_projection = nn.Linear(channels, d_model)
        self.embedding = nn.Module()
        self.embedding.words = nn.Embedding(vocab, d_model, padding_idx=0)
        self.embedding.positions = nn.Embedding(length, d_model)
        self.embedding.layer_norm = nn.LayerNorm(d_model, eps=1e-8)
        layer = nn.TransformerDecoderLayer(
            d_model, heads, feedforward, 0.1, activation="gelu", batch_first=True
        )
        self.transformer = nn.TransformerDecoder(layer, layers)
        self.output = nn.Linear(d_model, vocab)
        self.output.weight = self.embedding.words.weight

    def forward(self, features, text):
        grid = self.visual_projection(features.flatten(2).permute(0, 2, 1))
        padding = text == 0
        positions = self.embedding.positions(torch.arange(text.shape[1]))
        tokens = self.embedding.layer_norm(self.embedding.words(text) + positions)
        tokens = tokens * ~padding.unsqueeze(-1)
        future = torch.ones(text.shape[1], text.shape[1], dtype=torch.bool).triu(1)
        hidden = self.transformer(
            tokens, grid, tgt_mask=future, tgt_key_padding_mask=padding
        )
        return self.output(hidden)


class Reference(nn.Module):
    """VirTex's bicaptioning model: the two heads share all but their transformers."""

    def __init__(self, backbone, channels, vocab, length, *sizes, backward=True):
        super().__init__()
        self.visual = nn.Module()
        self.visual.cnn = get_model(backbone)
        self.visual.cnn.fc = nn.Identity()
        self.textual = ReferenceText(channels, vocab, length, *sizes)
        if backward:
            self.backward_textual = copy.deepcopy(self.textual)
            for shared in ("visual_projection", "embedding", "output"):
                setattr(self.backward_textual, shared, getattr(self.textual, shared))

    def features(self, image):
        for name, layer in self.visual.cnn.named_children():
            if name != "avgpool" and name != "fc":
                image = layer(image)
        return image

    def direction(self, textual, features, text):
        logits = textual(features, text)
        return logits, F.cross_entropy(
            logits[:, :-1].flatten(0, 1), text[:, 1:].flatten(), ignore_index=0
        )


def randomize(module, std):
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "visual.cnn" not in name:
                parameter.normal_(std=std)
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(std=0.1)
    return module.eval()


SMALL = ("resnet18", 512, 50, 12, 32, 4, 64, 2)


def ours_like_small(**changed):
    _, _, vocab, length, d_model, heads, feedforward, layers = SMALL
    arguments = {
        "backbone": "resnet18",
        "vocab_size": vocab,
        "max_text_length": length,
        "d_model": d_model,
        "n_head": heads,
        "dim_feedforward": feedforward,
        "n_layer": layers,
    }
    return vtbr(**{**arguments, **changed})


TEXT = torch.tensor([[2, 7, 9, 11, 3], [2, 8, 3, 0, 0]])
REVERSED = torch.tensor([[3, 11, 9, 7, 2], [3, 8, 2, 0, 0]])
COUNTS = TEXT[:, 1:] != 0


@torch.no_grad()
def assert_equal(reference, model):
    image = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(1))
    output = model.eval()(image, TEXT, TEXT == 0)
    loss = CaptioningLoss()(*output)
    features = reference.features(image)
    forward, forward_loss = reference.direction(reference.textual, features, TEXT)
    backward, backward_loss = reference.direction(
        reference.backward_textual, features, REVERSED
    )
    close = {"rtol": 0, "atol": 1e-4}
    for logits, expected in ((0, forward), (2, backward)):
        torch.testing.assert_close(output[logits], expected[:, :-1][COUNTS], **close)
    torch.testing.assert_close(loss.forward, forward_loss, **close)
    torch.testing.assert_close(loss.backward, backward_loss, **close)
    torch.testing.assert_close(loss.total, forward_loss + backward_loss, **close)
    # the two directions say different things, so swapping them would be seen
    assert (output.forward_logits - output.backward_logits).abs().max() > 0.01


def test_equals_the_reference():
    # large weights, so that every part counts
    reference = randomize(Reference(*SMALL), std=0.3)
    model = ours_like_small()
    report = load_virtex(model, reference.state_dict())
    assert not report.missing and not report.ignored
    assert_equal(reference, model)


def test_the_base_setting_equals_the_reference():
    vocab = 200  # the rest of it is the paper's
    reference = Reference("resnet50", 2048, vocab, 40, 1024, 16, 4096, 1)
    model = vtbr_r50(vocab_size=vocab)
    load_virtex(model, randomize(reference, std=0.02).state_dict())
    assert_equal(reference, model)


def test_a_forward_captioner():
    reference = Reference(*SMALL, backward=False)
    model = ours_like_small(backward=False)
    report = load_virtex(model, reference.state_dict())
    assert len(report.loaded) == len(model.state_dict())


@pytest.fixture(scope="module")
def state():
    return Reference(*SMALL).state_dict()


@pytest.fixture(scope="module")
def model():
    return ours_like_small()


@pytest.mark.parametrize(
    "name, missing",
    [
        ("visual.cnn.layer4.1.bn2.running_var", "visual.layer4.1.bn2.running_var"),
        (
            "textual.transformer.layers.1.multihead_attn.in_proj_bias",
            "forward_decoder.layers.1.cross_attention.key_value_proj.bias",
        ),
        (
            "backward_textual.transformer.layers.0.norm3.weight",
            "backward_decoder.layers.0.feedforward_norm.weight",
        ),
        ("textual.visual_projection.bias", "projection.bias"),
    ],
)
def test_a_missing_tensor(state, model, name, missing):
    rest = {key: value for key, value in state.items() if key != name}
    with pytest.raises(CheckpointError, match=f"VirTex's weights .*missing: {missing}"):
        load_virtex(model, rest)


def test_another_model(state, model):
    short = {**state, "textual.embedding.positions.weight": torch.zeros(11, 32)}
    del short["backward_textual.embedding.positions.weight"]
    with pytest.raises(CheckpointError, match=r"positions.weight has shape \(11, 32\)"):
        load_virtex(model, short)
    with pytest.raises(CheckpointError, match="1 unexpected: textual.extra"):
        load_virtex(model, {**state, "textual.extra": torch.zeros(1)})
    forward = ours_like_small(backward=False)
    with pytest.raises(CheckpointError, match="unexpected: backward_decoder"):
        load_virtex(forward, state)


@pytest.mark.parametrize(
    "name, original",
    [
        ("backward_textual.output.bias", "textual.output.bias"),
        ("textual.output.weight", "textual.embedding.words.weight"),
    ],
)
def test_copies_that_differ(state, name, original):
    with pytest.raises(CheckpointError, match=f"{name} differs from {original}"):
        virtex_to_vtbr({**state, name: state[name] + 1})


def test_query_key_and_value_are_parted():
    name = "textual.transformer.layers.0.multihead_attn.in_proj_bias"
    mapped = virtex_to_vtbr({name: torch.arange(6.0)})
    layer = "forward_decoder.layers.0.cross_attention"
    assert mapped[f"{layer}.query_proj.bias"].tolist() == [0, 1]
    assert mapped[f"{layer}.key_value_proj.bias"].tolist() == [2, 3, 4, 5]
