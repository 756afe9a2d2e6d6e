# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import pickle
import urllib.error

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torchmultimodal_reid.models.backbone_weights import (
    check_source,
    load_backbone_weights,
)
from torchmultimodal_reid.models.backbones import build_backbone
from torchmultimodal_reid.utils.checkpoint import write_checkpoint
from torchmultimodal_reid.utils.errors import CheckpointError
from torchvision.models._api import WeightsEnum

SMALL = "mobilenet_v3_small"


@pytest.fixture(scope="module")
def resnet():
    """The state dict of a whole ResNet-18 of torchvision. Do not change it."""
    torch.manual_seed(1)
    return torchvision.models.resnet18(weights=None).state_dict()


@pytest.fixture
def backbone():
    return build_backbone("resnet18")


def fits(backbone, resnet):
    return all(
        torch.equal(value, resnet[k]) for k, value in backbone.state_dict().items()
    )


def without_head(state):
    return {key: value for key, value in state.items() if not key.startswith("fc.")}


def behind(prefix, state):
    return {prefix + key: value for key, value in state.items()}


class TestRandom:
    def test_loads_nothing(self, backbone):
        before = {key: value.clone() for key, value in backbone.state_dict().items()}
        report = load_backbone_weights(backbone, "resnet18", "random")
        assert not report.loaded and set(report.missing) == set(before)
        assert fits(backbone, before)


class TestFiles:
    @pytest.mark.parametrize(
        "prefix", ["", "visual.", "visual.cnn.", "backbone.", "module."]
    )
    def test_names_of_each_origin(self, prefix, backbone, resnet, tmp_path):
        others = {} if not prefix else {"textual.output.bias": torch.zeros(3)}
        state = {**behind(prefix, without_head(resnet)), **others}
        save_file(state, tmp_path / "a.safetensors")
        report = load_backbone_weights(
            backbone, "resnet18", str(tmp_path / "a.safetensors")
        )
        assert fits(backbone, resnet)
        assert len(report.loaded) == len(backbone.state_dict()) and not report.missing
        assert report.ignored == tuple(others)

    @pytest.mark.parametrize("entry", [None, "model", "state_dict"])
    def test_pth_with_a_head_and_without_counters(
        self, entry, backbone, resnet, tmp_path
    ):
        state = {k: v for k, v in resnet.items() if "num_batches" not in k}
        content = state if entry is None else {entry: state, "epoch": 3}
        torch.save(content, tmp_path / "a.pth")
        report = load_backbone_weights(backbone, "resnet18", str(tmp_path / "a.pth"))
        assert fits(backbone, resnet)
        assert report.ignored == ("fc.bias", "fc.weight")
        assert {key.rsplit(".")[-1] for key in report.missing} == {
            "num_batches_tracked"
        }
        assert "2 ignored (fc.bias, fc.weight)" in str(report)

    def test_features_alone(self, tmp_path):
        features = torchvision.models.get_model(SMALL, weights=None).features
        torch.save(features.state_dict(), tmp_path / "a.pth")
        backbone = build_backbone(SMALL)
        load_backbone_weights(backbone, SMALL, str(tmp_path / "a.pth"))
        for key, value in features.state_dict().items():
            assert torch.equal(backbone.state_dict()[f"features.{key}"], value)

    def test_a_pickle_that_runs_code(self, backbone, tmp_path):
        class Malicious:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "harm"),)

        (tmp_path / "a.pth").write_bytes(pickle.dumps({"conv1.weight": Malicious()}))
        with pytest.raises(CheckpointError, match="cannot be read as plain tensors"):
            load_backbone_weights(backbone, "resnet18", str(tmp_path / "a.pth"))
        assert not (tmp_path / "harm").exists()


class TestRefusals:
    """Nothing is loaded by half."""

    @pytest.fixture
    def refuse(self, backbone, tmp_path):
        def refuse(state, message):
            before = {k: v.clone() for k, v in backbone.state_dict().items()}
            save_file(state, tmp_path / "a.safetensors")
            with pytest.raises(CheckpointError, match=message):
                load_backbone_weights(
                    backbone, "resnet18", str(tmp_path / "a.safetensors")
                )
            assert fits(backbone, before)

        return refuse

    def test_another_architecture(self, refuse):
        state = torchvision.models.resnet50(weights=None).state_dict()
        shapes = (
            r"layer1\.0\.conv1\.weight has shape \(64, 64, 1, 1\), expected "
            r"\(64, 64, 3, 3\).*It fits resnet50\."
        )
        refuse(state, rf"^backbone resnet18: .*a\.safetensors does not fit.*{shapes}")

    def test_nothing_matches(self, refuse):
        state = {"encoder.weight": torch.zeros(2), "encoder.bias": torch.zeros(2)}
        refuse(state, "none of the 2 tensors .* fits .*encoder.weight.*conv1.weight")

    def test_missing(self, refuse, resnet):
        state = {k: v for k, v in resnet.items() if k != "layer4.1.bn2.weight"}
        refuse(state, r"1 missing: layer4\.1\.bn2\.weight")

    def test_unexpected(self, refuse, resnet):
        state = {**resnet, "layer5.weight": torch.zeros(1)}
        refuse(state, r"1 unexpected: layer5\.weight")

    @pytest.mark.parametrize(
        "source, message",
        [
            ("imagnet", "must be one of random, imagenet, .* Did you mean imagenet"),
            ("vtbr:", "weights must be one of .*vtbr:CHECKPOINT.*; got 'vtbr:'"),
            ("weights.zip", r"a file ending in \.safetensors, \.pth"),
        ],
    )
    def test_sources(self, source, message):
        with pytest.raises(ValueError, match=message):
            check_source(source)

    def test_no_such_file(self, backbone):
        with pytest.raises(CheckpointError, match="nowhere.pth, but there is none"):
            load_backbone_weights(backbone, "resnet18", "nowhere.pth")


class TestVTBR:
    def test_visual_part_of_a_checkpoint(self, backbone, resnet, tmp_path):
        state = {
            **behind("visual.", without_head(resnet)),
            "output.bias": torch.zeros(4),
        }
        path = write_checkpoint(tmp_path / "best", {"model": state}, {})
        report = load_backbone_weights(backbone, "resnet18", f"vtbr:{path}")
        assert fits(backbone, resnet) and report.ignored == ("output.bias",)

    def test_checkpoint_of_something_else(self, backbone, tmp_path):
        state = {"mmet.a": torch.zeros(1), "neck.b": torch.zeros(1)}
        path = write_checkpoint(tmp_path / "best", {"model": state}, {})
        expected = "no tensors visual.*examples/vtbr/pretrain.py; it has mmet, neck"
        with pytest.raises(CheckpointError, match=expected):
            load_backbone_weights(backbone, "resnet18", f"vtbr:{path}")

    def test_no_checkpoint(self, backbone, tmp_path):
        with pytest.raises(CheckpointError, match="is no checkpoint"):
            load_backbone_weights(backbone, "resnet18", f"vtbr:{tmp_path}")


class TestDownloads:
    def test_imagenet(self, backbone, resnet, monkeypatch):
        asked = []

        def get_state_dict(self, *args, **kwargs):
            asked.append((self.name, kwargs["check_hash"]))
            return resnet

        monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)
        report = load_backbone_weights(backbone, "resnet18", "imagenet")
        load_backbone_weights(backbone, "resnet18", "imagenet:IMAGENET1K_V1")
        assert fits(backbone, resnet) and report.ignored == ("fc.bias", "fc.weight")
        assert asked == [("IMAGENET1K_V1", True)] * 2

    def test_imagenet_without_a_network(self, backbone, monkeypatch):
        def get_state_dict(self, *args, **kwargs):
            raise urllib.error.URLError("no route")

        monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)
        with pytest.raises(ValueError, match=r"no route.* Fetch https://.*\.pth where"):
            load_backbone_weights(backbone, "resnet18", "imagenet")

    def test_unknown_weights(self, backbone):
        with pytest.raises(ValueError, match="no weights 'V3' of resnet18, expected"):
            load_backbone_weights(backbone, "resnet18", "imagenet:V3")

    def test_virtex(self, monkeypatch):
        torch.manual_seed(2)
        published = torchvision.models.resnet50(weights=None)
        published.fc = torch.nn.Identity()
        asked = []

        def load(*args, **kwargs):
            asked.append((args, kwargs["pretrained"]))
            return published

        monkeypatch.setattr(torch.hub, "load", load)
        backbone = build_backbone("resnet50")
        load_backbone_weights(backbone, "resnet50", "virtex")
        assert fits(backbone, published.state_dict())
        assert asked == [(("kdexd/virtex", "resnet50"), True)]

    def test_virtex_is_a_resnet50(self, backbone):
        with pytest.raises(ValueError, match="virtex is a resnet50.* is resnet18"):
            load_backbone_weights(backbone, "resnet18", "virtex")
