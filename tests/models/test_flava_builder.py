# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import hub
from torchmultimodal.models.flava.model import flava_model
from torchmultimodal_reid.models import flava
from torchmultimodal_reid.models.flava import FLAVA_URL, load_flava, mmet_flava_base
from torchmultimodal_reid.models.mmet import mmet
from torchmultimodal_reid.utils.errors import CheckpointError

WIDTH = 16


@pytest.fixture
def state():
    torch.manual_seed(0)
    sizes = {}
    for part in ("image", "text", "multimodal"):
        sizes[f"{part}_hidden_size"] = WIDTH
        sizes[f"{part}_num_attention_heads"] = 2
        sizes[f"{part}_num_hidden_layers"] = 1
        sizes[f"{part}_intermediate_size"] = 32
    return flava_model(
        **sizes,
        image_size=32,
        vocab_size=20,
        max_position_embeddings=9,
        text_and_image_proj_size=WIDTH,
    ).state_dict()


@pytest.fixture
def small(monkeypatch):
    """Makes ``mmet_flava_base`` small; everything else is its own doing."""

    def build(**arguments):
        sizes = {"projection_dim": WIDTH}
        for part in ("image", "text", "mm"):
            sizes[f"{part}_d_model"] = WIDTH
            sizes[f"{part}_n_head"] = 2
            sizes[f"{part}_n_layer"] = 1
            sizes[f"{part}_dim_feedforward"] = 32
        return mmet(**arguments, **sizes)

    monkeypatch.setattr(flava, "mmet", build)
    return {"image_size": (32, 32), "vocab_size": 20, "max_text_length": 7}


def test_weights_are_downloaded_only_when_asked_for(small, state, monkeypatch):
    asked = []

    def download(url, **arguments):
        asked.append((url, arguments))
        return state

    monkeypatch.setattr(hub, "load_state_dict_from_url", download)
    mmet_flava_base(**small)
    assert asked == []

    model = mmet_flava_base(**small, pretrained=True)
    # no code that a file may hold is run
    assert asked == [(FLAVA_URL, {"map_location": "cpu", "weights_only": True})]
    words = model.text_encoder.embeddings
    assert torch.equal(
        words.word_embeddings.weight,
        state["text_encoder.embeddings.word_embeddings.weight"],
    )
    theirs = state["text_encoder.embeddings.position_embeddings.weight"]
    assert torch.equal(words.position_embeddings.weight, theirs[:7])


def test_another_image_size_needs_a_word(small, state, monkeypatch):
    monkeypatch.setattr(hub, "load_state_dict_from_url", lambda url, **more: state)
    small["image_size"] = (64, 32)
    with pytest.raises(CheckpointError, match="2x2 patches, but .* images have 4x2; "):
        mmet_flava_base(**small, pretrained=True)
    model = mmet_flava_base(**small, pretrained=True, interpolate_positions=True)
    positions = model.image_encoder.embeddings.position_embeddings
    theirs = state["image_encoder.embeddings.position_embeddings"]
    assert torch.equal(positions[:, 0], theirs[:, 0])
    mean = positions[:, 1:].mean(1)
    torch.testing.assert_close(mean, theirs[:, 1:].mean(1), rtol=0, atol=0.05)


def test_more_words_than_flava_has_positions(small, state):
    small["max_text_length"] = 10
    model = mmet_flava_base(**small)
    with pytest.raises(
        CheckpointError, match=r"position_embeddings.weight has shape \(9, 16\), exp"
    ):
        load_flava(model, state)


def test_the_given_state_is_left_as_it_was(small, state):
    before = {name: value.shape for name, value in state.items()}
    load_flava(mmet_flava_base(**small), state)
    assert {name: value.shape for name, value in state.items()} == before


def test_weights_of_something_else(small):
    with pytest.raises(
        CheckpointError, match="none of the 1 tensors of FLAVA's weights"
    ):
        load_flava(mmet_flava_base(**small), {"visual.weight": torch.ones(1)})
