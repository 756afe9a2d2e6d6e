# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Graphs give what the model gives, for any batch and any length; the command says what is wrong."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torchmultimodal_reid.export.__main__ import main
from torchmultimodal_reid.export.write import check_formats, onnx_runner
from torchmultimodal_reid.pipeline import ReIDPipeline

STEMS = {"image_stem": "convolution", "text_stem": "convolution"}
TEXTS = ["A person in a red coat, seen from the left or the right.", "green"]


@pytest.fixture(scope="module")
def checkpoint(write_model, tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("export") / "best", **STEMS)


@pytest.fixture(scope="module")
def exported(checkpoint):
    """The whole export of an MMET. Do not change it."""
    try:
        check_formats(["onnx"])
    except (
        ValueError
    ) as error:  # packages are missing, or torch is too old for texts of any length, too
        pytest.skip(str(error))
    output = checkpoint.parent / "out"
    assert main([str(checkpoint), str(output)]) == 0
    return output


@pytest.fixture
def people(checkpoint):
    """Four images and captions: as the pipeline takes them, and as a graph does."""
    pipe = ReIDPipeline.from_checkpoint(checkpoint, "cpu")
    images = [Image.new("RGB", (16, 32), (60 * i, 200 - 60 * i, 90)) for i in range(4)]
    pixels = torch.tensor(np.stack(images)).permute(0, 3, 1, 2)
    ids = [pipe.tokenizer.encode(text) for text in TEXTS * 2]
    ids = [i if len(i) <= 12 else i[:11] + i[-1:] for i in ids]
    longest = max(map(len, ids))
    assert longest == 12
    text = torch.tensor([i + [0] * (longest - len(i)) for i in ids])
    return pipe, {"images": images, "texts": TEXTS * 2}, {"image": pixels, "text": text}


@pytest.mark.parametrize("kind", ["torch", "onnx"])
@pytest.mark.parametrize("name", ["image", "text", "fused"])
def test_as_the_pipeline(kind, name, exported, people):
    pipe, given, tensors = people
    inputs = {"image": ["image"], "text": ["text"], "fused": ["image", "text"]}[name]
    if kind == "onnx":
        run = onnx_runner(exported / f"{name}.onnx")
    else:
        run = torch.export.load(exported / f"{name}.pt2").module()
    expected = pipe.embed(**{f"{part}s": given[f"{part}s"] for part in inputs})
    for count in (1, 4):
        found = run(*(tensors[part][:count] for part in inputs))
        torch.testing.assert_close(found, expected[:count], rtol=0, atol=1e-4)
    if "text" in inputs:  # the second caption alone, without its padding
        short = tensors["text"][1:2]
        short = short[:, short[0] != 0]
        found = run(
            *(short if part == "text" else tensors[part][1:2] for part in inputs)
        )
        torch.testing.assert_close(found, expected[1:2], rtol=0, atol=1e-4)
    assert (expected[0] - expected[1]).abs().max() > 1e-3


def test_what_lies_beside_the_graphs(exported, checkpoint):
    said = json.loads((exported / "export.json").read_text())
    assert said["inputs"]["image"]["shape"] == ["batch", 3, 32, 16]
    assert said["inputs"]["text"]["longest"] == 12
    assert len(said["graphs"]) == 6
    assert all(graph["difference"] <= 1e-4 for graph in said["graphs"])
    own = ReIDPipeline.from_checkpoint(checkpoint, "cpu").fingerprint
    assert said["fingerprint"] == own
    tokenizer = (checkpoint / "tokenizer.json").read_bytes()
    assert (exported / "tokenizer.json").read_bytes() == tokenizer


def test_a_baseline_has_one_graph(write_model, tmp_path, capsys):
    folder = write_model(tmp_path / "best", "reid_baseline")
    output = tmp_path / "out"
    assert main([str(folder), str(output), "--formats", "torch"]) == 0
    assert "image.pt2" in capsys.readouterr().out
    assert sorted(path.name for path in output.iterdir()) == [
        "export.json",
        "image.pt2",
    ]
    image = torch.randint(256, (3, 3, 64, 32), dtype=torch.uint8)
    expected = ReIDPipeline.from_checkpoint(folder, "cpu").embed(list(image))
    found = torch.export.load(output / "image.pt2").module()(image)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


class TestRefusals:
    @pytest.fixture
    def refused(self, tmp_path, capsys):
        def refused(checkpoint, *more, output=None):
            output = tmp_path / "out" if output is None else output
            assert main([str(checkpoint), str(output), *more]) == 2
            assert not (tmp_path / "out").exists()
            return capsys.readouterr().err

        return refused

    @pytest.mark.parametrize(
        "kind, reason",
        [("vtbr", "writes token by token"), ("mmet", "before it is fine-tuned")],
    )
    def test_models_that_embed_nothing(
        self, kind, reason, refused, write_model, tmp_path
    ):
        text = refused(write_model(tmp_path / "best", kind), "--formats", "torch")
        assert f"kind {kind}, which is not exported" in text and reason in text

    def test_a_folder_of_something_else(self, checkpoint, refused):
        text = refused(checkpoint, "--formats", "torch", output=checkpoint)
        assert "is no export; choose a new folder" in text
        assert (checkpoint / "model.safetensors").is_file()

    def test_an_unknown_format(self, checkpoint, refused):
        text = refused(checkpoint, "--formats", "tflite")
        assert "formats must be some of torch, onnx, got tflite" in text

    def test_packages_that_are_missing(self, checkpoint, refused, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnx", None)
        text = refused(checkpoint)
        assert "ONNX needs onnx, which is not installed: pip install 'torchmu" in text

    def test_a_torch_that_is_too_old(self, checkpoint, refused, monkeypatch):
        for package in ("onnx", "onnxscript", "onnxruntime"):
            monkeypatch.setitem(sys.modules, package, ModuleType(package))
        monkeypatch.setattr(torch, "__version__", "2.5.1")
        text = refused(checkpoint)
        assert "ONNX needs torch 2.6 or newer, this is 2.5.1; leave the" in text

    def test_a_torch_that_cannot(self, checkpoint, refused, monkeypatch):
        def fails(*arguments, **more):
            raise RuntimeError("batch must be specialized to 2")

        monkeypatch.setattr(torch.export, "export", fails)
        text = refused(checkpoint, "--formats", "torch")
        assert f"torch {torch.__version__} cannot export the graph image" in text
        assert "(batch must be specialized to 2); use a newer one" in text

    def test_another_result_than_the_model(self, checkpoint, refused, monkeypatch):
        monkeypatch.setattr("torchmultimodal_reid.export.write.TOLERANCE", -1.0)
        text = refused(checkpoint, "--formats", "torch")
        assert "image.pt2 differs from the model by" in text and "nothing was" in text

    def test_no_checkpoint(self, refused, tmp_path):
        text = refused(tmp_path / "nothing", "--formats", "torch")
        assert "neither a path that is there" in text
