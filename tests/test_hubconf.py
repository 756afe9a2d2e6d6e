# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""``torch.hub.load`` needs torch and torchvision, and nothing of ours."""

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torchmultimodal_reid.utils.checkpoint import write_checkpoint

ROOT = Path(__file__).resolve().parents[1]

ALONE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

BLOCKED = {"torchmultimodal_reid", "torchmultimodal", "examples", "safetensors", "fvcore", "tokenizers"}
sys.meta_path.insert(0, Blocked())
import torch, torchvision
root, weights = sys.argv[1:]
model = torch.hub.load(root, "vtbr_resnet50", source="local", pretrained=True, weights=weights)
assert type(model) is torchvision.models.ResNet and not BLOCKED & set(sys.modules)
print(model.layer4[2].bn3.weight.sum().item(), tuple(model.fc.weight.shape))
"""


@pytest.fixture(scope="module")
def hub():
    spec = importlib.util.spec_from_file_location("hubconf", ROOT / "hubconf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def resnet():
    """The tensors of a ResNet-50, without its head. Do not change them."""
    torch.manual_seed(0)
    state = torchvision.models.resnet50(weights=None).state_dict()
    state["layer4.2.bn3.weight"] = torch.arange(2048) / 2048
    return {key: value for key, value in state.items() if not key.startswith("fc.")}


@pytest.fixture(scope="module")
def captioner(resnet):
    """What a checkpoint of the pretraining holds."""
    visual = {f"visual.{key}": value for key, value in resnet.items()}
    return {**visual, "output.bias": torch.zeros(7, dtype=torch.float16)}


@pytest.fixture(scope="module")
def checkpoint(captioner, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "best"
    return write_checkpoint(folder, {"model": captioner, "optimizer": {}}, {"step": 1})


def assert_loaded(model, resnet):
    assert type(model) is torchvision.models.ResNet
    state = model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in resnet.items())


def test_where_nothing_of_ours_is_installed(checkpoint):
    command = [sys.executable, "-I", "-c", ALONE, str(ROOT), str(checkpoint)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=checkpoint)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "1023.5 (1000, 2048)"


def test_random_weights(hub):
    model = hub.vtbr_resnet50(num_classes=3)
    assert type(model) is torchvision.models.ResNet and model.fc.out_features == 3


@pytest.mark.parametrize("kind", ["folder", "safetensors", "pth", "nested pth"])
def test_each_kind_of_file(kind, hub, checkpoint, captioner, resnet, tmp_path):
    path = {"folder": checkpoint, "safetensors": tmp_path / "a.safetensors"}.get(
        kind, tmp_path / "a.pth"
    )
    if kind == "safetensors":
        save_file(captioner, path)
    elif kind == "pth":
        torch.save(captioner, path)
    elif kind == "nested pth":
        torch.save({"model": captioner, "iteration": 3}, path)
    assert_loaded(hub.vtbr_resnet50(weights=path), resnet)


def test_safetensors_of_each_type(hub, tmp_path):
    tensors = {
        str(dtype): torch.tensor([[0, 1, 1]]).to(dtype)
        for dtype in hub._DTYPES.values()
    }
    tensors.update(scalar=torch.tensor(3), empty=torch.zeros(0, 2))
    save_file(tensors, tmp_path / "a.safetensors", metadata={"a": "b"})
    read = hub._read_safetensors(tmp_path / "a.safetensors")
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor)


class TestZoo:
    @pytest.fixture
    def entries(self, hub, write_model, tmp_path, monkeypatch):
        for kind in ("vtbr", "mmet_for_reid"):
            write_model(tmp_path / kind, kind)
        monkeypatch.setattr(hub, "_WEIGHTS", tmp_path)
        return tmp_path

    def test_a_captioners_cnn(self, hub, entries):
        state = load_file(entries / "vtbr" / "model.safetensors")
        save = {"visual." + k: v for k, v in visual(state).items()}
        halved = {k: v.half() if v.is_floating_point() else v for k, v in save.items()}
        said = json.loads((entries / "vtbr" / "checkpoint.json").read_text())
        model = {"model": said["metadata"]["model"]}
        write_checkpoint(entries / "half", {"model": halved}, model)
        for name in ("vtbr", "half"):
            cnn = hub.vtbr_backbone(name)
            assert type(cnn) is torchvision.models.MobileNetV3
            given, found = visual(state), cnn.state_dict()
            assert given and all(key in found for key in given)
            for key, tensor in given.items():
                tensor = tensor.half() if name == "half" else tensor
                assert torch.equal(found[key], tensor.to(found[key].dtype))
            assert found["features.0.0.weight"].dtype == torch.float32

    def test_a_model_and_its_pipeline(self, hub, entries):
        model = hub.zoo("mmet_for_reid")
        assert not model.training and model.embed(torch.zeros(1, 3, 32, 16)).shape
        pipeline = hub.zoo_pipeline("mmet_for_reid", "cpu")
        assert pipeline.embed(texts=["a red coat"]).shape == (1, 32)

    def test_a_name_that_is_not_there(self, hub, entries, monkeypatch):
        monkeypatch.chdir(entries.parent)  # a folder that is there is no entry
        (entries.parent / "tiny").mkdir()
        for serve in (hub.zoo, hub.zoo_pipeline):
            with pytest.raises(
                ValueError, match="no model 'tiny', it has mmet_for_reid, vtbr"
            ):
                serve("tiny")
        with pytest.raises(ValueError, match="no captioner 'mmet_for_reid', it has vt"):
            hub.vtbr_backbone("mmet_for_reid")

    def test_random_weights_are_not_served(self, hub, entries):
        for serve in (hub.zoo, hub.vtbr_backbone):
            with pytest.raises(ValueError, match="has trained models alone; for rand"):
                serve("vtbr", pretrained=False)

    def test_without_the_library(self, hub, entries, monkeypatch):
        def missing(name):
            raise ModuleNotFoundError(f"No module named {name!r}", name="tokenizers")

        monkeypatch.setattr(hub.importlib, "import_module", missing)
        with pytest.raises(ValueError, match="tokenizers is missing for it: pip inst"):
            hub.zoo("mmet_for_reid")


def visual(state):
    """The CNN's tensors among a captioner's."""
    start = "visual."
    return {k[len(start) :]: v for k, v in state.items() if k.startswith(start)}


class TestRefusals:
    def test_nothing_is_published(self, hub):
        with pytest.raises(
            ValueError, match="no weights of a ResNet-50 are publ.*weights=PATH"
        ):
            hub.vtbr_resnet50(pretrained=True)

    def test_not_there(self, hub, tmp_path):
        with pytest.raises(ValueError, match="nothing is not there; expected a check"):
            hub.vtbr_resnet50(weights=tmp_path / "nothing")
        with pytest.raises(ValueError, match="is no whole checkpoint .FileNotFound"):
            hub.vtbr_resnet50(weights=tmp_path)

    def test_another_architecture(self, hub, tmp_path):
        small = torchvision.models.resnet18(weights=None).state_dict()
        torch.save(small, tmp_path / "a.pth")
        with pytest.raises(ValueError, match="does not fit a ResNet-50: .* is missing"):
            hub.vtbr_resnet50(weights=tmp_path / "a.pth")

    def test_another_width(self, hub, resnet, tmp_path):
        torch.save(
            {**resnet, "conv1.weight": torch.zeros(8, 3, 7, 7)}, tmp_path / "a.pth"
        )
        message = r"conv1.weight has shape \(8, 3, 7, 7\), expected \(64, 3, 7, 7\)"
        with pytest.raises(ValueError, match=message):
            hub.vtbr_resnet50(weights=tmp_path / "a.pth")

    def test_something_else(self, hub, tmp_path):
        torch.save({"words": torch.zeros(2)}, tmp_path / "a.pth")
        with pytest.raises(ValueError, match="holds no ResNet-50: it has words; expe"):
            hub.vtbr_resnet50(weights=tmp_path / "a.pth")

    def test_a_pickle_that_runs_code(self, hub, tmp_path):
        class Malicious:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "harm"),)

        (tmp_path / "a.pth").write_bytes(pickle.dumps(Malicious(), protocol=2))
        with pytest.raises(ValueError, match="Pickled objects are refused"):
            hub.vtbr_resnet50(weights=tmp_path / "a.pth")
        assert not (tmp_path / "harm").exists()

    @pytest.mark.parametrize("size", [4, 40, -1])
    def test_cut_short(self, size, hub, tmp_path):
        save_file({"conv1.weight": torch.zeros(9)}, tmp_path / "a.safetensors")
        data = (tmp_path / "a.safetensors").read_bytes()
        (tmp_path / "a.safetensors").write_bytes(data[:size])
        with pytest.raises(ValueError, match="cannot be read as safetensors: "):
            hub.vtbr_resnet50(weights=tmp_path / "a.safetensors")

    def test_altered_checkpoint(self, hub, tmp_path):
        tensors = {"model": {"visual.conv1.weight": torch.zeros(9)}}
        folder = write_checkpoint(tmp_path / "best", tensors, {})
        data = bytearray((folder / "model.safetensors").read_bytes())
        data[-1] ^= 1
        (folder / "model.safetensors").write_bytes(data)
        with pytest.raises(ValueError, match="is cut short or was altered; copy it ag"):
            hub.vtbr_resnet50(weights=folder)
