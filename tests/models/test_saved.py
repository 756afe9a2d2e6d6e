# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.models.mmet import mmet_for_reid
from torchmultimodal_reid.models.mmet_pretraining import mmet_for_pretraining
from torchmultimodal_reid.models.saved import (
    build_mmet,
    load,
    load_mmet,
    model_files,
    ModelDescription,
)
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.checkpoint import write_checkpoint
from torchmultimodal_reid.utils.errors import CheckpointError


@pytest.fixture
def description(tiny, tokenizer):
    return ModelDescription(
        builder="mmet",
        arguments={**tiny, "vocab_size": tokenizer.vocab_size, "drop_path": None},
        mean=(0.5, 0.25, 0.125),
        std=(1.0, 0.5, 0.25),
        tokenizer=tokenizer.fingerprint(),
        num_identities=3,
        caption_weight=0.25,
    )


@pytest.fixture
def model(description):
    torch.manual_seed(0)
    model = mmet_for_reid(
        build_mmet(description), num_identities=3, caption_weight=0.25
    )
    model.neck.norm.running_mean.normal_()
    return model.eval()


@pytest.fixture
def write(tmp_path, description, model, tokenizer):
    """Writes the model as the recipes do; parts may be changed."""

    def write(
        model=model, metadata=None, tokenizer=tokenizer, name="checkpoint", **changed
    ):
        if metadata is None:
            metadata = {"model": description._replace(**changed)._asdict(), "step": 7}
        files = model_files(tokenizer) if tokenizer is not None else None
        tensors = {"model": model.state_dict(), "optimizer": {}}
        return write_checkpoint(tmp_path / name, tensors, metadata, files)

    return write


@pytest.fixture
def query(tokenizer):
    image = torch.randn(2, 3, 32, 16, generator=torch.Generator().manual_seed(3))
    text = torch.tensor([tokenizer.encode("red coat")[:6]] * 2)
    return image, text


def same_weights(model, other):
    state = other.state_dict()
    assert list(state) == list(model.state_dict())
    return all(
        torch.equal(value, state[key]) for key, value in model.state_dict().items()
    )


class TestLoad:
    def test_bit_for_bit(self, write, model, query):
        loaded = load(write())
        assert not loaded.model.training
        assert same_weights(loaded.model, model)
        image, text = query
        for given in ((image, text), (image,), (None, text)):
            assert torch.equal(loaded.model.embed(*given), model.embed(*given))

    def test_what_travels_along(self, write, description, tokenizer):
        loaded = load(str(write()))
        assert loaded.tokenizer.fingerprint() == tokenizer.fingerprint()
        assert loaded.description.mean == description.mean
        assert loaded.description.std == description.std
        assert loaded.description.image_size == (32, 16)
        assert loaded.description.max_text_length == 12
        assert loaded.description.num_identities == 3

    def test_a_pretrained_model(self, write, model):
        pretraining = mmet_for_pretraining(model.mmet, vocab_size=20, patch_size=8)
        folder = write(pretraining, num_identities=None)
        with pytest.raises(CheckpointError, match="without a re-ident.*load_mmet"):
            load(folder)

    def test_weights_of_another_size(self, write):
        with pytest.raises(CheckpointError, match=r"classifier.weight .*\(3, 32\)"):
            load(write(num_identities=4))


class TestLoadMMET:
    def test_from_either_kind_of_checkpoint(self, write, model):
        reid = load_mmet(write(name="reid"))
        pretraining = mmet_for_pretraining(model.mmet, vocab_size=20, patch_size=8)
        pretrained = load_mmet(write(pretraining, name="pre", num_identities=None))
        for loaded in (reid, pretrained):
            assert same_weights(loaded.mmet, model.mmet)
            assert loaded.description.num_identities is None

    def test_another_drop_path(self, write, model):
        loaded = load_mmet(write(), drop_path=0.25)
        assert same_weights(loaded.mmet, model.mmet)
        last = loaded.mmet.image_encoder.encoder.layer[-1]
        assert last.attention_dropout.p == 0.25
        # and the next checkpoint will say so
        assert loaded.description.arguments["drop_path"] == 0.25

    def test_another_size(self, write):
        with pytest.raises(CheckpointError, match="of another shape: .*position_emb"):
            load_mmet(write(), image_size=(64, 16))

    def test_an_unknown_argument(self, write):
        with pytest.raises(ValueError, match="mmet takes no 'droppath'.*drop_path"):
            load_mmet(write(), droppath=0.1)

    def test_a_checkpoint_without_encoders(self, write, model):
        with pytest.raises(CheckpointError, match="none of the .* fits MMET"):
            load_mmet(write(model.neck))


class TestTokenizer:
    def test_of_another_size(self, write, tokenizer):
        other = WordPieceTokenizer([*tokenizer.tokens, "extra"])
        size = tokenizer.vocab_size
        with pytest.raises(
            CheckpointError,
            match=f"has {size + 1} tokens, but the model of .* with {size}; use the tok",
        ):
            load(write(tokenizer=other))

    def test_of_other_tokens(self, write, tokenizer):
        tokens = list(tokenizer.tokens)
        tokens[-1], tokens[-2] = tokens[-2], tokens[-1]
        with pytest.raises(
            CheckpointError, match=f"has the {len(tokens)} tokens .* in another order"
        ):
            load_mmet(write(tokenizer=WordPieceTokenizer(tokens)))

    def test_missing(self, write):
        with pytest.raises(ValueError, match="tokenizer.json: cannot be read"):
            load(write(tokenizer=None))


class TestDamage:
    @pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
    @pytest.mark.parametrize("read", [load, load_mmet])
    def test_cut_short(self, write, name, read):
        folder = write()
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-9])
        expected = f"{name} has {len(whole) - 9} bytes, expected {len(whole)}"
        with pytest.raises(CheckpointError, match=expected):
            read(folder)

    def test_no_checkpoint(self, tmp_path):
        with pytest.raises(CheckpointError, match="nothing is no checkpoint"):
            load(tmp_path / "nothing")

    @pytest.mark.parametrize("said", [{"builder": "mmet"}, {"size": 3}, None])
    def test_of_something_else(self, write, said):
        with pytest.raises(CheckpointError, match="does not describe an MMET"):
            load(write(metadata={"model": said}))
        with pytest.raises(CheckpointError, match="does not describe an MMET"):
            load_mmet(write(metadata={}))

    def test_an_unknown_builder(self, write):
        with pytest.raises(ValueError, match="unknown model 'resnet'.*mmet_tiny"):
            load(write(builder="resnet"))
