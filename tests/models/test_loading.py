# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.architectures.captioner import BidirectionalCaptioner
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.architectures.mmet_reid import MMETForReID
from torchmultimodal_reid.architectures.reid import ReIDModel
from torchmultimodal_reid.models import zoo
from torchmultimodal_reid.models.loading import load
from torchmultimodal_reid.utils.checkpoint import read_checkpoint, write_checkpoint
from torchmultimodal_reid.utils.errors import CheckpointError

KINDS = {
    "mmet_for_reid": MMETForReID,
    "mmet": MMET,
    "reid_baseline": ReIDModel,
    "vtbr": BidirectionalCaptioner,
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(kind, write_model, tokenizer, tmp_path):
    folder = write_model(tmp_path / "best", kind)
    loaded = load(str(folder))
    assert loaded.kind == kind and type(loaded.model) is KINDS[kind]
    assert not loaded.model.training
    size = (32, 16) if kind.startswith("mmet") else (64, 32)
    assert loaded.description.image_size == size
    assert loaded.description.mean == (0.5, 0.25, 0.125)
    if kind == "reid_baseline":
        assert loaded.tokenizer is None
    else:
        assert loaded.tokenizer.fingerprint() == tokenizer.fingerprint()


def test_the_device(write_model, tmp_path):
    loaded = load(write_model(tmp_path / "best"), device="meta")
    assert {weight.device.type for weight in loaded.model.parameters()} == {"meta"}


def test_the_fingerprint_is_of_weights_and_description(write_model, tmp_path):
    first = load(write_model(tmp_path / "a")).fingerprint
    assert first == load(write_model(tmp_path / "b")).fingerprint
    assert first != load(write_model(tmp_path / "c", max_text_length=9)).fingerprint


class TestRefusals:
    def test_neither_a_folder_nor_a_name(self):
        with pytest.raises(
            CheckpointError,
            match="'mmet_huge' is neither a path .* nor the name of a model .*Expected a "
            "checkpoint's folder, which holds checkpoint.json and model.safetensors, such",
        ):
            load("mmet_huge")

    def test_a_run_instead_of_its_checkpoint(self, write_model, tmp_path):
        write_model(tmp_path / "run" / "best")
        write_model(tmp_path / "run" / "checkpoints" / "step_7")
        with pytest.raises(
            CheckpointError, match="run is a folder .*run/best, .*step_7"
        ):
            load(tmp_path / "run")

    def test_a_folder_of_something_else(self, tmp_path):
        with pytest.raises(
            CheckpointError, match="folder without checkpoint.json. Exp"
        ):
            load(tmp_path)

    def test_a_file(self, write_model, tmp_path):
        weights = write_model(tmp_path / "best") / "model.safetensors"
        with pytest.raises(
            CheckpointError, match="is a file. Expected its folder, .*best"
        ):
            load(weights)
        other = tmp_path / "model.pth"
        other.write_bytes(b"")
        with pytest.raises(
            CheckpointError, match="is a file. Expected a checkpoint's fol"
        ):
            load(other)

    @pytest.mark.parametrize("kind", KINDS)
    def test_cut_short(self, kind, write_model, tmp_path):
        folder = write_model(tmp_path / "best", kind)
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-9])
        with pytest.raises(
            CheckpointError, match="model.safetensors has .* bytes, expec"
        ):
            load(folder)
        manifest = folder / "checkpoint.json"
        manifest.write_bytes(manifest.read_bytes()[:-9])
        with pytest.raises(
            CheckpointError, match="checkpoint.json is cut short or alter"
        ):
            load(folder)

    @pytest.mark.parametrize(
        "said, found",
        [
            ({"builder": "resnet"}, "a model of 'resnet'"),
            ({}, "no model that is described"),
            (None, "no model that is described"),
            (["mmet"], "no model that is described"),
        ],
    )
    def test_an_unknown_kind(self, said, found, tmp_path):
        tensors = {"model": {"weight": torch.zeros(1)}}
        folder = write_checkpoint(tmp_path / "best", tensors, {"model": said})
        with pytest.raises(
            CheckpointError, match=f"{found}, expected one of mmet, mmet_"
        ):
            load(folder)

    @pytest.mark.parametrize("builder", ["mmet", "reid_baseline", "vtbr"])
    def test_a_description_of_another_release(self, builder, tmp_path):
        said = {"model": {"builder": builder, "colour": "red"}}
        folder = write_checkpoint(tmp_path / "best", {"model": {}}, said)
        with pytest.raises(CheckpointError, match="best (does not d|d)escribes? "):
            load(folder)


class TestNames:
    @pytest.fixture
    def named(self, write_model, tmp_path, monkeypatch):
        monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
        monkeypatch.chdir(tmp_path)
        for name in ("tiny", "small"):
            folder = write_model(tmp_path / "weights" / name)
            content = read_checkpoint(folder)
            metadata = {**content.metadata, "zoo": {"summary": f"A test's, {name}."}}
            files = {"tokenizer.json": (folder / "tokenizer.json").read_bytes()}
            write_checkpoint(folder, content.tensors, metadata, files)
        (tmp_path / "weights" / ".tiny.writing").mkdir()
        return tmp_path / "weights" / "tiny"

    def test_a_name(self, named):
        loaded = load("tiny")
        assert loaded.kind == "mmet_for_reid" and loaded.source == "tiny"
        assert loaded.fingerprint == load(named).fingerprint

    def test_a_folder_of_that_name_goes_first(self, named, write_model, tmp_path):
        write_model(tmp_path / "tiny", "reid_baseline")
        assert load("tiny").kind == "reid_baseline"

    def test_the_nearest_and_all_are_told(self, named):
        with pytest.raises(
            CheckpointError, match="names are .*tiny.*mean 'tiny'. Expect"
        ):
            load("tinny")

    def test_all_of_them(self, named):
        small, tiny = zoo.zoo_models().values()
        assert (small.name, tiny.name) == ("small", "tiny")
        assert tiny.summary == "A test's, tiny." and tiny.folder == named
        sizes = [file.stat().st_size for file in named.iterdir()]
        assert tiny.num_bytes == sum(sizes)
        assert zoo.find_checkpoint("tiny") == named

    def test_a_name_whose_weights_were_altered(self, named):
        weights = named / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-9])
        with pytest.raises(CheckpointError, match="model.safetensors has .* bytes, ex"):
            load("tiny")

    @pytest.mark.parametrize("text", ["{", '{"metadata": {}}', '{"metadata": 3}'])
    def test_a_folder_that_is_no_entry(self, text, named):
        (named / "checkpoint.json").write_text(text)
        with pytest.raises(
            CheckpointError, match="tiny/checkpoint.json describes no model of the zoo"
        ):
            zoo.zoo_models()


def test_half_precision_becomes_float32(write_model, tmp_path):
    folder = write_model(tmp_path / "best")
    content = read_checkpoint(folder)
    for dtype in (torch.float16, torch.bfloat16):
        tensors = {
            name: tensor.to(dtype) if tensor.is_floating_point() else tensor
            for name, tensor in content.tensors["model"].items()
        }
        files = {"tokenizer.json": (folder / "tokenizer.json").read_bytes()}
        half = tmp_path / str(dtype)
        write_checkpoint(half, {"model": tensors}, content.metadata, files)
        model = load(half).model
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}
        name = "mmet.image_to_mm.weight"
        assert torch.equal(model.get_parameter(name), tensors[name].float())


def test_every_name_of_the_zoo_has_its_weights():
    for name, model in zoo.zoo_models().items():
        assert load(name).source == name and model.summary
