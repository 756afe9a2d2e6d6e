# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchmultimodal_reid.models.bert import bert_text_encoder, load_bert
from torchmultimodal_reid.models.mmet import mmet
from torchmultimodal_reid.utils.errors import CheckpointError

VOCAB, LENGTH, WIDTH, INNER = 20, 9, 8, 24


class Reference(nn.Module):
    """BERT out of torch's own layers."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCAB, WIDTH)
        self.positions = nn.Embedding(LENGTH, WIDTH)
        self.types = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        layer = nn.TransformerEncoderLayer(
            WIDTH, 2, INNER, 0.0, "gelu", 1e-12, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, text, padding=None):
        places = torch.arange(text.shape[1])
        tokens = self.words(text) + self.positions(places) + self.types.weight[0]
        return self.encoder(self.norm(tokens), src_key_padding_mask=padding)


@pytest.fixture
def reference():
    torch.manual_seed(0)
    model = Reference()
    with torch.no_grad():
        for parameter in model.parameters():  # zero biases would prove nothing
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def published(reference):
    """The reference's numbers under Hugging Face's names."""
    state = {
        "embeddings.word_embeddings.weight": reference.words.weight,
        "embeddings.position_embeddings.weight": reference.positions.weight,
        "embeddings.token_type_embeddings.weight": reference.types.weight,
        "embeddings.LayerNorm.weight": reference.norm.weight,
        "embeddings.LayerNorm.bias": reference.norm.bias,
    }
    for number, layer in enumerate(reference.encoder.layers):
        start = f"encoder.layer.{number}."
        for kind in ("weight", "bias"):
            joint = getattr(layer.self_attn, f"in_proj_{kind}")
            for name, part in zip(("query", "key", "value"), joint.chunk(3)):
                state[f"{start}attention.self.{name}.{kind}"] = part
            for name, part in (
                ("attention.output.dense", layer.self_attn.out_proj),
                ("attention.output.LayerNorm", layer.norm1),
                ("intermediate.dense", layer.linear1),
                ("output.dense", layer.linear2),
                ("output.LayerNorm", layer.norm2),
            ):
                state[f"{start}{name}.{kind}"] = getattr(part, kind)
    state = {name: value.detach().clone() for name, value in state.items()}
    state["pooler.dense.weight"] = torch.zeros(WIDTH, WIDTH)
    state["embeddings.position_ids"] = torch.arange(LENGTH).unsqueeze(0)
    return state


def build(**changed):
    sizes = {"d_model": WIDTH, "n_layer": 2, "n_head": 2, "dim_feedforward": INNER}
    arguments = {"vocab_size": VOCAB, "max_length": LENGTH, **sizes}
    return bert_text_encoder(**{**arguments, **changed}).eval()


@pytest.fixture
def text():
    return torch.tensor([[2, 7, 8, 9, 3], [2, 11, 3, 0, 0]])


@torch.no_grad()
@pytest.mark.parametrize("prefix", ["", "bert."])
@pytest.mark.parametrize("norm", [("weight", "bias"), ("gamma", "beta")])
def test_huggingfaces_weights(prefix, norm, reference, text):
    state = {
        prefix
        + name.replace("Norm.weight", f"Norm.{norm[0]}").replace(
            "Norm.bias", f"Norm.{norm[1]}"
        ): value
        for name, value in published(reference).items()
    }
    if prefix:
        state["cls.predictions.bias"] = torch.zeros(VOCAB)
    encoder = build()
    report = load_bert(encoder, state)
    assert report.missing == () and len(report.ignored) == (3 if prefix else 2)
    padding = text == 0
    output = encoder(text, padding)
    expected = reference(text, padding)
    assert_close(output.tokens[~padding], expected[~padding], rtol=0, atol=1e-5)
    assert output.hidden is output.tokens


@torch.no_grad()
def test_in_an_mmet(reference, text, tiny):
    model = mmet(**{**tiny, "text_d_model": WIDTH}).eval()
    model.text_encoder = build(max_length=5)
    load_bert(model.text_encoder, published(reference))
    output = model(text=text, text_padding=text == 0)
    assert_close(output.text.tokens[0], reference(text)[0], rtol=0, atol=1e-5)
    assert output.multimodal.shape == (2, 1 + 5, tiny["mm_d_model"])


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"vocab_size": 30}, r"word_embeddings.weight has shape \(20, 8\), expected"),
        ({"max_length": 10}, r"position_embeddings.weight has shape \(9, 8\), expect"),
        ({"n_layer": 1}, "unexpected: encoder.layer.1"),
        ({"n_layer": 3}, "missing: encoder.layer.2"),
        ({"dim_feedforward": 16}, r"feedforward.model.0.weight has shape \(24, 8\), "),
    ],
)
def test_other_sizes(changed, message, reference):
    with pytest.raises(
        CheckpointError, match=f"BERT's weights does not fit.*{message}"
    ):
        load_bert(build(**changed), published(reference))


def test_half_of_an_attention(reference):
    state = published(reference)
    del state["encoder.layer.1.attention.self.key.bias"]
    with pytest.raises(CheckpointError, match="encoder.layer.1.attention.self.query.b"):
        load_bert(build(), state)


def test_something_else():
    with pytest.raises(CheckpointError, match="none of the 1 tensors of BERT's weight"):
        load_bert(build(), {"visual.proj": torch.ones(1)})
    with pytest.raises(ValueError, match="text_d_model 8 is not a multiple of .* 3"):
        build(n_head=3)
