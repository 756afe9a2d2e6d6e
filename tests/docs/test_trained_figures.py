# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The pictures of a trained model: what they show is what the model computes."""

from pathlib import Path

import pytest
import torch
from docs.figures import trained
from docs.figures.attention import draw_attention, look, Looked, weights_of_first
from docs.figures.embeddings import draw_embeddings, people_to_color, project
from PIL import Image
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.figures import canvas
from torchmultimodal_reid.models.saved import load

ROOT = Path(__file__).resolve().parents[2]
PADDING = torch.tensor([[False] * 5 + [True] * 2, [False] * 7])
TEXT = torch.tensor([[2, 7, 8, 9, 3, 0, 0], [2, 5, 6, 7, 8, 9, 3]])


@pytest.fixture
def mmet(tmp_path, write_model):
    return load(write_model(tmp_path / "best")).model.mmet.eval()


def texts(figure):
    found = [text.get_text() for text in figure.texts]
    return found + [text.get_text() for axes in figure.axes for text in axes.texts]


def test_attention_without_a_preference_is_shared_alike(mmet):
    for layer in mmet.mm_encoder.encoder.layer:
        torch.nn.init.zeros_(layer.attention.input_proj.weight)
        torch.nn.init.zeros_(layer.attention.input_proj.bias)
    looked = look(mmet, torch.randn(2, 3, 32, 16), TEXT, PADDING)
    # [CLS_M], [CLS_I], 4 x 2 patches, and the words that are no padding
    for one, words, tokens in zip(looked, (5, 7), (15, 17)):
        torch.testing.assert_close(one.patches, torch.full((4, 2), 1 / tokens))
        expected = torch.tensor([1 / tokens] * words + [0.0] * (7 - words))
        torch.testing.assert_close(one.words, expected)
        assert one.itself == one.image_class == pytest.approx(1 / tokens)


def test_the_weights_are_those_that_the_layer_uses(mmet):
    attention = mmet.mm_encoder.encoder.layer[0].attention
    hidden = torch.randn(2, 6, 32)
    attend = torch.tensor([[True] * 4 + [False] * 2, [True] * 6])[:, None, None, :]
    weights = weights_of_first(attention, hidden, attend)
    value = attention.input_proj(hidden).chunk(3, dim=-1)[2]
    value = value.view(2, 6, attention.num_heads, -1).transpose(1, 2)
    seen = (weights.unsqueeze(2) @ value).transpose(1, 2).reshape(2, 1, 32)
    expected = attention(hidden, attn_mask=attend)[:, :1]
    torch.testing.assert_close(attention.output_proj(seen), expected)


def test_looking_leaves_the_model_as_it_was(mmet):
    image = torch.randn(2, 3, 32, 16)
    before = mmet(image, TEXT, PADDING).multimodal
    look(mmet, image, TEXT, PADDING)
    attention = mmet.mm_encoder.encoder.layer[0].attention
    assert not attention._forward_pre_hooks
    torch.testing.assert_close(mmet(image, TEXT, PADDING).multimodal, before)


def test_the_picture_of_attention_shows_words_and_shares(monkeypatch):
    monkeypatch.setattr(canvas, "DPI", 60)
    words = torch.tensor([0.1, 0.2, 0.1, 0.0])
    looked = Looked(torch.full((4, 2), 0.05), words, 0.15, 0.05)
    image = torch.zeros(3, 32, 16, dtype=torch.uint8)
    written = [["[CLS]", "red", "[SEP]"], ["[CLS]", "a" * 40, "[SEP]"]]
    figure = draw_attention([image] * 2, written, [looked] * 2, "who looks where")
    said = texts(figure)
    assert {"red", "a" * 40, "who looks where"} <= set(said)
    shares = "patches 40%,  words 20%,  [CLS], [SEP] 20%\n[CLS_I] 15%,  [CLS_M] 5%"
    assert said.count(shares) == 2


def features(identities, dim=3):
    """People in corners of their own."""
    identity = torch.tensor(identities)
    embedding = torch.eye(dim)[identity] + 0.01 * torch.randn(len(identities), dim)
    return Features(embedding, identity, identity, torch.arange(len(identities)))


def test_people_to_color_are_those_that_all_kinds_show():
    kinds = {"image": features([0, 1, 2]), "text": features([2, 1, 1])}
    assert people_to_color(kinds, 8) == [1, 2]
    assert people_to_color(kinds, 1) == [2]


def test_projection_keeps_people_together():
    pytest.importorskip("sklearn")
    rows = features([0] * 8 + [1] * 8 + [2] * 8)
    places = torch.from_numpy(project(rows.embedding))
    distances = torch.cdist(places, places)
    distances.fill_diagonal_(float("inf"))
    nearest = distances.argmin(dim=1)
    assert (rows.identity[nearest] == rows.identity).all()


def test_the_picture_of_embeddings_has_a_mark_for_each_kind(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(canvas, "DPI", 60)
    kinds = {kind: features([0, 1, 2] * 3) for kind in ("image", "text", "image+text")}
    legend = draw_embeddings(kinds, "toys").axes[0].get_legend()
    labels = [text.get_text() for text in legend.get_texts()]
    people = [f"person {number}" for number in (1, 2, 3)]
    assert labels == ["both", "caption", "image", *people, "all others"]


def test_pictures_are_shrunk_once(tmp_path):
    path = tmp_path / "wide.png"
    Image.new("RGB", (2 * trained.WIDTH, 100), (10, 20, 30)).save(path)
    for _ in range(2):
        trained.shrink(path)
        picture = Image.open(path)
        assert picture.size == (trained.WIDTH, 50)
        assert picture.getpixel((5, 5)) == (10, 20, 30)


def test_the_command(build_market, write_model, tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(canvas, "DPI", 40)
    best = str(write_model(tmp_path / "best"))
    out = tmp_path / "images"
    root = build_market(test=4)
    trained.main(["--checkpoint", best, "--root", root, "--out", str(out)])
    names = ["ranked_lists.png", "cmc.png", "embeddings.png", "attention.png"]
    assert [Path(line).name for line in capsys.readouterr().out.splitlines()] == names
    assert sorted(file.name for file in out.iterdir()) == sorted(names)


@pytest.mark.parametrize(
    "page, names",
    [
        ("concepts", ("embeddings", "attention")),
        ("evaluation", ("ranked_lists", "cmc")),
    ],
)
def test_the_pages_show_them(page, names):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    for name in names:
        assert f"](images/{name}.png)" in text
        picture = Image.open(ROOT / "docs" / "images" / f"{name}.png")
        assert 600 <= picture.width <= trained.WIDTH
