# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import hub, nn
from torch.testing import assert_close
from torchmultimodal.models.clip.image_encoder import CLIPViTEncoder
from torchmultimodal.models.clip.model import CLIP
from torchmultimodal.models.clip.text_encoder import CLIPTextEncoder
from torchmultimodal_reid.models import clip as builders
from torchmultimodal_reid.models.clip import (
    clip_padding,
    load_clip,
    mmet_clip,
    mmet_clip_vit_b16,
)
from torchmultimodal_reid.models.mmet import mmet_for_reid
from torchmultimodal_reid.utils.clip_key_maps import CLIP_IGNORED, openai_to_clip
from torchmultimodal_reid.utils.errors import CheckpointError
from torchmultimodal_reid.utils.state_dict import load_state_dict

VOCAB, LENGTH, IMAGE, TEXT, SPACE = 20, 7, 16, 8, 6
START, END = 18, 19


class Block(nn.Module):
    """OpenAI's residual block, with the names and the order of its code."""

    def __init__(self, width, activation):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)}
        )
        self.ln_2 = nn.LayerNorm(width)
        self.activation = activation

    def forward(self, x, mask=None):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        inner = self.activation(self.mlp["c_fc"](self.ln_2(x)))
        return x + self.mlp["c_proj"](inner)


class Tower(nn.Module):
    def __init__(self, width, activation):
        super().__init__()
        self.resblocks = nn.ModuleList([Block(width, activation) for _ in range(2)])

    def forward(self, x, mask=None):
        for block in self.resblocks:
            x = block(x, mask)
        return x


class OpenAI(nn.Module):
    """CLIP as OpenAI published it, small: 2x2 patches of 4 pixels."""

    def __init__(self, activation):
        super().__init__()
        visual = nn.Module()
        visual.conv1 = nn.Conv2d(3, IMAGE, 4, 4, bias=False)
        visual.class_embedding = nn.Parameter(torch.randn(IMAGE))
        visual.positional_embedding = nn.Parameter(torch.randn(5, IMAGE))
        visual.ln_pre, visual.ln_post = nn.LayerNorm(IMAGE), nn.LayerNorm(IMAGE)
        visual.transformer = Tower(IMAGE, activation)
        visual.proj = nn.Parameter(torch.randn(IMAGE, SPACE))
        self.visual = visual
        self.token_embedding = nn.Embedding(VOCAB, TEXT)
        self.positional_embedding = nn.Parameter(torch.randn(LENGTH, TEXT))
        self.transformer = Tower(TEXT, activation)
        self.ln_final = nn.LayerNorm(TEXT)
        self.text_projection = nn.Parameter(torch.randn(TEXT, SPACE))
        self.logit_scale = nn.Parameter(torch.tensor(4.6))

    def encode_image(self, image):
        v = self.visual
        x = v.conv1(image).flatten(2).transpose(1, 2)
        x = torch.cat([v.class_embedding.expand(len(x), 1, -1), x], dim=1)
        x = v.transformer(v.ln_pre(x + v.positional_embedding))
        return v.ln_post(x[:, 0]) @ v.proj

    def encode_text(self, text):
        x = self.token_embedding(text) + self.positional_embedding
        mask = torch.full((LENGTH, LENGTH), float("-inf")).triu(1)
        x = self.ln_final(self.transformer(x, mask))
        return x[torch.arange(len(x)), text.argmax(dim=-1)] @ self.text_projection


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def make(activation=quick_gelu):
    torch.manual_seed(0)
    model = OpenAI(activation)
    with torch.no_grad():
        for parameter in model.parameters():  # zero biases would prove nothing
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


@pytest.fixture
def no_grad():
    with torch.no_grad():
        yield


@pytest.fixture
def openai():
    return make()


def build(**changed):
    sizes = {"mm_d_model": 12, "mm_n_layer": 1, "mm_dim_feedforward": 24}
    for part, d_model in (("image", IMAGE), ("text", TEXT)):
        sizes.update({f"{part}_d_model": d_model, f"{part}_n_layer": 2})
    sizes.update({f"{part}_n_head": 2 for part in ("image", "text", "mm")})
    arguments = {
        "image_size": (8, 8),
        "patch_size": 4,
        "vocab_size": VOCAB,
        "max_text_length": LENGTH,
        "projection_dim": SPACE,
        **sizes,
    }
    torch.manual_seed(1)
    return mmet_clip(**{**arguments, **changed}).eval()


@pytest.fixture
def image():
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def text():
    return torch.tensor([[START, 3, 4, 5, END, 0, 0], [START, 6, END, 0, 0, 0, 0]])


def upstream():
    """TorchMultimodal's CLIP of the same sizes."""
    torch.manual_seed(3)
    return CLIP(
        CLIPViTEncoder(SPACE, 4, 8, IMAGE, 2, 2),
        CLIPTextEncoder(SPACE, LENGTH, VOCAB, TEXT, 4 * TEXT, 2, 2),
    ).eval()


def embeddings(model, image, text):
    """What MMET gives where CLIP gives its two embeddings."""
    by_image = model.image_projection(model.encode_image(image).cls)
    encoded = model.encode_text(text, clip_padding(text, END))
    return by_image, model.text_projection(encoded.cls)


@pytest.mark.usefixtures("no_grad")
class TestWeights:
    @pytest.mark.parametrize("activation", [quick_gelu, nn.functional.gelu])
    def test_openais(self, activation, image, text):
        openai = make(activation)
        model = build(quick_gelu=activation is quick_gelu)
        report = load_clip(model, openai.state_dict())
        by_image, by_text = embeddings(model, image, text)
        assert_close(by_image, openai.encode_image(image), rtol=0, atol=1e-5)
        assert_close(by_text, openai.encode_text(text), rtol=0, atol=1e-5)
        assert report.ignored == ("logit_scale",)
        parts = {name.split(".")[0] for name in report.missing}
        assert parts == {"mm_encoder", "image_to_mm", "text_to_mm"}
        assert set(report.loaded) | set(report.missing) == set(model.state_dict())

    def test_openais_in_torchmultimodals_modules(self, openai, image, text):
        clip = upstream()
        load_state_dict(
            clip, openai.state_dict(), key_map=openai_to_clip, ignored=CLIP_IGNORED
        )
        by_image = clip.encoder_a(image)
        assert_close(by_image, openai.encode_image(image), rtol=0, atol=1e-5)
        by_text = clip.encoder_b(text)
        assert_close(by_text, openai.encode_text(text), rtol=0, atol=1e-5)

    def test_torchmultimodals(self, image, text):
        clip, model = upstream(), build()
        load_clip(model, clip.state_dict())
        by_image, by_text = embeddings(model, image, text)
        assert_close(by_image, clip.encoder_a(image), rtol=0, atol=1e-5)
        assert_close(by_text, clip.encoder_b(text), rtol=0, atol=1e-5)

    def test_a_file_of_openai_or_of_a_training(self, openai, image):
        state = openai.half().state_dict()
        state.update(input_resolution=torch.tensor(8), vocab_size=torch.tensor(VOCAB))
        state = {f"module.{name}": value for name, value in state.items()}
        model = build()
        before = {name: value.clone() for name, value in state.items()}
        load_clip(model, state)
        assert {value.dtype for value in model.parameters()} == {torch.float32}
        assert all(torch.equal(state[name], before[name]) for name in before)
        expected = openai.float().encode_image(image)
        found = model.image_projection(model.encode_image(image).cls)
        assert_close(found, expected, rtol=0, atol=1e-5)

    def test_shorter_captions(self, openai, text):
        model = build(max_text_length=5)
        load_clip(model, openai.state_dict())
        tokens = model.encode_text(text[:1, :5]).cls
        expected = openai.encode_text(text[:1])
        assert_close(model.text_projection(tokens), expected, rtol=0, atol=1e-5)

    def test_person_shaped_images(self, openai):
        model = build(image_size=(16, 4))
        with pytest.raises(
            CheckpointError, match="CLIP has positions for 2x2 patches, .* have 4x1; "
        ):
            load_clip(model, openai.state_dict())
        load_clip(model, openai.state_dict(), interpolate_positions=True)
        positions = model.image_encoder.clip.positional_embedding
        theirs = openai.visual.positional_embedding
        assert positions.shape == (5, IMAGE) and torch.equal(positions[0], theirs[0])
        assert not torch.equal(positions, theirs)
        assert model(torch.randn(1, 3, 16, 4)).multimodal.shape == (1, 6, 12)


class TestRefusals:
    @pytest.mark.parametrize(
        "changed, message",
        [
            ({"text_n_layer": 3}, r"missing: text_encoder.clip.encoder.layers.2"),
            ({"image_n_layer": 1}, r"unexpected: image_encoder.clip.encoder.layers.1"),
            ({"vocab_size": 21}, r"has shape \(20, 8\), expected \(21, 8\)"),
            (
                {"max_text_length": 9},
                r"positional_embedding has shape \(7, 8\), expected",
            ),
        ],
    )
    def test_other_sizes(self, changed, message, openai):
        model = build(**changed)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with pytest.raises(CheckpointError, match=f"CLIP's weights does.*{message}"):
            load_clip(model, openai.state_dict())
        after = model.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)

    def test_one_tower_alone(self, openai):
        state = {
            k: v for k, v in openai.state_dict().items() if k.startswith("visual.")
        }
        with pytest.raises(CheckpointError, match="missing: text_encoder.clip.*"):
            load_clip(build(), state)

    def test_a_clip_with_a_resnet(self, openai):
        state = openai.state_dict()
        state["visual.layer1.0.conv1.weight"] = torch.zeros(1)
        with pytest.raises(
            CheckpointError, match="1 unexpected: visual.layer1.0.conv1"
        ):
            load_clip(build(), state)

    def test_something_else(self):
        with pytest.raises(CheckpointError, match="none of the 1 tensors of CLIP's we"):
            load_clip(build(), {"bert.weight": torch.ones(1)})

    @pytest.mark.parametrize(
        "changed, message",
        [
            ({"image_size": (10, 8)}, "10x8 does not divide into patches of 4"),
            (
                {"text_n_head": 3},
                "text_d_model 8 is not a multiple of text_n_head 3",
            ),
        ],
    )
    def test_sizes_that_make_no_model(self, changed, message):
        with pytest.raises(ValueError, match=message):
            build(**changed)


class TestReID:
    def test_the_three_kinds_of_input(self, image, text):
        reid = mmet_for_reid(build(), num_identities=3).eval()
        padding = clip_padding(text, END)
        with torch.no_grad():
            by_image = reid.embed(image)
            by_text = reid.embed(text=text, text_padding=padding)
            by_both = reid.embed(image, text, padding)
            shorter = reid.embed(text=text[1:, :3])
        for rows in (by_image, by_text, by_both):
            assert rows.shape == (2, 12)
            assert_close(rows.norm(dim=1), torch.ones(2))
        assert_close(by_text[1:], shorter, rtol=0, atol=1e-5)

    def test_gradients_reach_every_parameter_but_the_projections(self, image, text):
        reid = mmet_for_reid(build().train(), num_identities=3)
        output = reid(image, text, clip_padding(text, END))
        labels = torch.tensor([0, 1])
        losses = [nn.functional.cross_entropy(neck.logits, labels) for neck in output]
        torch.stack(losses).sum().backward()
        without = {
            name
            for name, parameter in reid.named_parameters()
            if parameter.grad is None or not parameter.grad.any()
        }
        assert without == {
            "mmet.image_projection.weight",
            "mmet.text_projection.weight",
            "neck.norm.bias",
        }

    def test_it_is_not_pretrained_by_masking(self, image, text):
        with pytest.raises(ValueError, match="was built without a masking module"):
            build().draw_mask(image, text)


def test_layers_start_apart():
    layers = build().image_encoder.clip.encoder.layers
    first, second = (layer.self_attn.in_proj_weight for layer in layers)
    assert not torch.equal(first, second)


def test_padding_is_what_follows_the_first_end():
    text = torch.tensor([[18, 0, 19, 0, 0], [18, 5, 19, 19, 19], [18, 1, 2, 3, 19]])
    expected = [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]
    assert clip_padding(text, 19).tolist() == torch.tensor(expected).bool().tolist()
    assert not clip_padding(text).any()


class TestViTB16:
    def test_sizes(self):
        with torch.device("meta"):
            model = mmet_clip_vit_b16(image_size=(256, 128), max_text_length=32)
        assert model.grid == (16, 8) and model.text_encoder.max_length == 32

        def block(d):  # attention, feed-forward, two norms
            return 4 * d * d + 4 * d + 8 * d * d + 5 * d + 4 * d

        image = 12 * block(768) + 768 * 3 * 256 + 768 * (1 + 129) + 2 * 2 * 768
        text = 12 * block(512) + 512 * (49408 + 32) + 2 * 512
        for encoder, expected in (
            (model.image_encoder, image),
            (model.text_encoder, text),
        ):
            assert sum(p.numel() for p in encoder.parameters()) == expected
        assert model.image_projection.weight.shape == (512, 768)

    def test_weights_are_downloaded_only_when_asked_for(self, openai, monkeypatch):
        asked = []

        def download(url, **arguments):
            asked.append((url.split("/")[-1], arguments))
            return openai.state_dict()

        monkeypatch.setattr(hub, "load_state_dict_from_url", download)
        monkeypatch.setattr(builders, "mmet_clip", build)
        mmet_clip_vit_b16(image_size=(8, 8), max_text_length=6)
        assert asked == []
        model = mmet_clip_vit_b16(image_size=(8, 8), max_text_length=6, pretrained=True)
        # no code that a file may hold is run
        told = {"map_location": "cpu", "weights_only": True}
        assert asked == [("clip_vit_b16.pt", told)]
        words = model.text_encoder.clip.token_embedding.weight
        assert torch.equal(words, openai.token_embedding.weight)
        with pytest.raises(CheckpointError, match="have 4x2; .*interpolate_positions="):
            mmet_clip_vit_b16(image_size=(16, 8), max_text_length=6, pretrained=True)
