# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""A pipeline gives what the model gives for inputs that were prepared by hand, and tells a user's mistakes."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.models.loading import load
from torchmultimodal_reid.pipeline import ReIDPipeline
from torchmultimodal_reid.search.gallery_index import GalleryEntry, GalleryIndex
from torchmultimodal_reid.shortcuts import caption, embed

TEXTS = [
    "A person in a red coat.",
    "Someone wears blue clothes, seen from the left.",
    "green",
]


@pytest.fixture
def pipeline(write_model, tmp_path):
    """Builds the pipeline of a checkpoint of some kind."""

    def build(kind="mmet_for_reid", **more):
        more.setdefault("device", "cpu")
        folder = write_model(tmp_path / kind, kind)
        return ReIDPipeline.from_checkpoint(folder, **more)

    return build


@pytest.fixture
def files(tmp_path):
    """Three images of 48 x 20 random pixels."""
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        pixels = np.random.default_rng(i).integers(0, 256, (48, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture
def by_hand(pipeline, files):
    """Normalised images, ids and padding, made without the pipeline's code."""
    mean, std = np.array([0.5, 0.25, 0.125]), np.array([1.0, 0.5, 0.25])
    images = [
        (
            np.array(Image.open(f).resize((16, 32), Image.Resampling.BILINEAR)) / 255
            - mean
        )
        / std
        for f in files
    ]
    ids = [pipeline().tokenizer.encode(text) for text in TEXTS]
    ids = [i if len(i) <= 12 else i[:11] + i[-1:] for i in ids]
    longest = max(map(len, ids))
    text = torch.tensor([i + [0] * (longest - len(i)) for i in ids])
    image = torch.tensor(np.stack(images)).permute(0, 3, 1, 2).float()
    return {"image": image, "text": text, "text_padding": text == 0}


@torch.no_grad()
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_images_captions_and_pairs(pipeline, files, by_hand, batch_size):
    pipe = pipeline(batch_size=batch_size)
    text = {name: by_hand[name] for name in ("text", "text_padding")}
    for given, expected in (
        ({"images": files}, pipe.model.embed(by_hand["image"])),
        ({"texts": TEXTS}, pipe.model.embed(**text)),
        ({"images": files, "texts": TEXTS}, pipe.model.embed(**by_hand)),
    ):
        found = pipe.embed(**given)
        assert found.dtype == torch.float32 and found.device.type == "cpu"
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
        assert not found.requires_grad
    assert (found - pipe.embed(files)).abs().max() > 1e-3


def test_each_kind_of_image_gives_the_same(pipeline, files):
    pipe = pipeline()
    expected = pipe.embed(files)
    opened = [Image.open(file) for file in files]
    assert torch.equal(pipe.embed([str(file) for file in files]), expected)
    assert torch.equal(pipe.embed(opened), expected)
    assert torch.equal(pipe.embed([files[0], opened[1], str(files[2])]), expected)
    tensors = torch.stack(
        [torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in opened]
    )
    # torch's resizing rounds otherwise than PIL's
    torch.testing.assert_close(pipe.embed(tensors), expected, rtol=0, atol=0.02)
    grey = [image.convert("L") for image in opened]
    assert torch.equal(pipe.embed(grey), pipe.embed([g.convert("RGB") for g in grey]))


def test_a_baseline_embeds_images_only(pipeline, files):
    pipe = pipeline("reid_baseline")
    found = pipe.embed(files)
    assert found.shape == (3, 576) and found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    with pytest.raises(
        ValueError, match="baseline, which .* reads no captions; use a ch"
    ):
        pipe.embed(texts=TEXTS)
    with pytest.raises(ValueError, match="baseline, which writes no captions; use"):
        pipe.caption(files)


def test_a_captioner_captions_only(pipeline, files):
    pipe = pipeline("vtbr", batch_size=2)
    written = pipe.caption(files)
    assert len(written) == 3 and all(isinstance(text, str) for text in written)
    assert written == pipeline("vtbr").caption([Image.open(file) for file in files])
    with pytest.raises(
        ValueError, match="is a captioner, which embeds nothing; use cap"
    ):
        pipe.embed(files)
    with pytest.raises(
        ValueError, match="images must be a list with at .* an empty one"
    ):
        pipe.caption([])


@pytest.mark.parametrize("kind", ["mmet", "vtbr_masked_lm"])
def test_a_model_that_was_only_pretrained(kind, pipeline):
    with pytest.raises(
        ValueError, match=f"kind {kind}, which neither.*fine-tune it firs"
    ):
        pipeline(kind)


def test_in_one_call(pipeline, files, tmp_path):
    pipe = pipeline()
    folder = tmp_path / "mmet_for_reid"
    assert torch.equal(embed(folder, files).cpu(), pipe.embed(files))
    assert torch.equal(embed(pipe, texts=TEXTS), pipe.embed(texts=TEXTS))
    writer = pipeline("vtbr")
    assert caption(str(tmp_path / "vtbr"), files) == caption(writer, files)


def test_a_gallery_index_searches_with_it(pipeline, files):
    pytest.importorskip("faiss")
    pipe = pipeline()
    entries = [GalleryEntry(str(file)) for file in files]
    index = GalleryIndex.build(pipe.embed(files), entries, pipe.fingerprint, pipe)
    pixels = torch.from_numpy(np.array(Image.open(files[1]))).permute(2, 0, 1)
    assert index.search(image=pixels, top_k=1)[0].entry.path == str(files[1])
    hits = index.search(text=TEXTS[0], top_k=3)
    similarity = pipe.embed(files) @ pipe.embed(texts=TEXTS[:1])[0]
    assert [hit.id for hit in hits] == similarity.argsort(descending=True).tolist()


class TestProgress:
    @pytest.fixture
    def bar(self, pipeline, monkeypatch, capsys):
        def bar(**more):
            pipe = pipeline(batch_size=1)
            pipe.embed(texts=TEXTS, **more)
            return capsys.readouterr().err

        return bar

    def test_where_it_is_wanted(self, bar):
        assert "embed:" in bar(progress=True) and bar(progress=False) == ""

    def test_where_no_terminal_is(self, bar, monkeypatch):
        monkeypatch.setattr("torchmultimodal_reid.pipeline.BAR_AFTER", 0.0)
        assert bar() == ""

    def test_in_a_terminal_when_it_takes_long(self, bar, monkeypatch):
        monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
        assert bar() == ""
        monkeypatch.setattr("torchmultimodal_reid.pipeline.BAR_AFTER", 0.0)
        assert "embed:" in bar()


class TestRefusals:
    @pytest.mark.parametrize(
        "given, message",
        [
            ({}, "give images, texts, or both"),
            ({"images": []}, "images must be a list with at least one .* an empty one"),
            (
                {"texts": []},
                "texts must be a list with at least one entry, got an empty",
            ),
            ({"images": "a.png"}, r"images must be a list, got one .* put it in \[ \]"),
            ({"texts": "a red coat"}, r"texts must be a list, got one of its entries"),
            ({"texts": {"a": 1}}, "texts must be a list with .* got a dict"),
            ({"images": 3}, "images must be a list with at least one entry, got a int"),
            ({"texts": ["red", None]}, r"texts\[1\] is a NoneType, expected a caption"),
            ({"texts": ["red", " "]}, r"texts\[1\]: the caption ' ' is empty"),
            ({"texts": ["\u4eba"]}, r"texts\[0\]: the tokeniser knows no word"),
            (
                {"texts": ["red", "x/0001_c1.JPG"]},
                r"texts\[1\] is the path of an image",
            ),
            (
                {"images": [3.0]},
                r"images\[0\] is a float, expected a file's path, a PIL",
            ),
            (
                {"images": [np.zeros((4, 4, 3))]},
                "is a ndarray, .*PIL's Image.fromarray",
            ),
            (
                {"images": [torch.zeros(3, 4, 4)]},
                r"torch.float32 and shape \(3, 4, 4\), ",
            ),
            ({"images": torch.zeros(3, 4, 4)}, "images must be a list, got one"),
            ({"images": ["no.png"]}, r"images\[0\]: there is no file 'no.png'$"),
            (
                {"images": ["a red coat"]},
                "no file 'a red coat'; a caption goes into texts",
            ),
            ({"images": ["."]}, r"images\[0\] is the folder '.', .*list its files"),
        ],
    )
    def test_what_is_given(self, given, message, pipeline):
        with pytest.raises(ValueError, match=message):
            pipeline().embed(**given)

    def test_another_number_of_captions(self, pipeline, files):
        with pytest.raises(
            ValueError, match="got 3 images and 2 texts, expected as many"
        ):
            pipeline().embed(files, TEXTS[:2])

    def test_a_file_of_several_words(self, pipeline, files, tmp_path):
        path = str(tmp_path / "a red coat.png")
        assert pipeline().embed(texts=["a red coat.png"]).shape == (1, 32)
        files[0].rename(path)
        with pytest.raises(ValueError, match="is the path of an image"):
            pipeline().embed(texts=[path])

    def test_damaged_images_are_named(self, pipeline, files):
        whole = files[1].read_bytes()
        files[1].write_bytes(whole[: len(whole) // 2])
        with pytest.raises(
            DataError, match="1.png: the image cannot be read, it is cut"
        ):
            pipeline().embed(files)
        with pytest.raises(
            DataError, match=r"images\[1\] \(.*1.png\) cannot be decoded"
        ):
            pipeline().embed([Image.open(file) for file in files])

    def test_no_such_device(self, pipeline):
        with pytest.raises(
            ValueError, match="device 'gpu' cannot be used: Expected one"
        ):
            pipeline(device="gpu")
        with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
            pipeline(batch_size=0)


def test_a_loaded_model_in_training_mode_is_put_right(write_model, tmp_path, files):
    loaded = load(write_model(tmp_path / "best"))
    loaded.model.train()
    assert ReIDPipeline(loaded, "cpu").embed(files).shape == (3, 32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu(pipeline, files):
    pipe, expected = pipeline(device=None), pipeline().embed(files, TEXTS)
    assert pipe.device.type == "cuda"
    found = pipe.embed(files, TEXTS)
    assert found.device.type == "cpu"
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
