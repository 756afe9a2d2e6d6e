# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What the documentation's site is made of, and its pictures."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from docs import site
from docs.figures.__main__ import FIGURES
from docs.site import api_page, api_pages, PAGES, rewrite
from torchmultimodal_reid.models import zoo

ROOT = Path(__file__).resolve().parents[2]
MKDOCS = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
PYTHON = re.compile(r"^```python\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("[a](CONTRIBUTING.md)", "[a](contributing.md)"),
        ("[a](docs/datasets.md#layouts)", "[a](datasets.md#layouts)"),
        ("![a](docs/images/demo.png)", "![a](images/demo.png)"),
        ("[a](examples/mmet/README.md)", "[a](recipes/mmet.md)"),
        ("[a](examples/mmet)", "[a](recipes/mmet.md)"),
        # what is there but no page is named, what is not there is left for MkDocs to complain of
        ("[the licence](LICENSE)", "`the licence`"),
        ("[`a`](setup.py)", "`a`"),
        ("[a](docs/nowhere.md)", "[a](nowhere.md)"),
        ("[a](nowhere.md)", "[a](nowhere.md)"),
        ("[a](https://example.org/README.md)", "[a](https://example.org/README.md)"),
        ("[a](#results)", "[a](#results)"),
    ],
)
def test_links_of_the_readme(text, expected):
    assert rewrite(text, "README.md", "index.md") == expected


def test_links_of_a_recipe():
    text = "[a](../../README.md#results), [b](pretrain.py), [c](../README.md)"
    page = rewrite(text, "examples/mmet/README.md", "recipes/mmet.md")
    assert page == "[a](../index.md#results), `b`, [c](index.md)"


def test_model_cards(tmp_path, monkeypatch):
    for folder in ("a", ".b.writing"):
        path = tmp_path / "torchmultimodal_reid" / "weights" / folder
        path.mkdir(parents=True)
        (path / "README.md").touch()
    monkeypatch.setattr(site, "ROOT", tmp_path)
    card = "torchmultimodal_reid/weights/a/README.md"
    assert site.card_pages() == {card: "zoo/a.md"}
    assert rewrite(f"[a](../{card})", "docs/zoo.md", "zoo.md") == "[a](zoo/a.md)"
    config = SimpleNamespace(nav=["index.md", "zoo.md", "end.md"])
    nav = site.on_config(config).nav
    assert nav[:4] == ["index.md", "zoo.md", "zoo/a.md", "end.md"]


def test_every_public_module_is_on_a_page():
    pages = api_pages()
    modules = [module for page in pages.values() for module in page]
    assert len(modules) == len(set(modules)) > 100
    for name in (
        "",
        ".pipeline",
        ".modules.masking.token_masking",
        ".data.inspect.inspection",
    ):
        assert f"torchmultimodal_reid{name}" in modules
    assert not [name for name in modules if name.split(".")[-1].startswith("_")]
    assert "::: torchmultimodal_reid.models.mmet\n" in api_page(
        "api/models.md", modules
    )


def test_every_page_of_the_repository_is_on_the_site():
    pages = {str(path.relative_to(ROOT)) for path in ROOT.glob("examples/**/*.md")}
    assert pages | {"README.md", "CONTRIBUTING.md"} == set(PAGES)
    own = [str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/*.md")]
    for page in [*PAGES.values(), *own]:
        assert f"- {page}\n" in MKDOCS, f"{page} is not in the navigation"


@pytest.mark.parametrize(
    "page, printed", [("concepts.md", "True ImageTransformerEncoder\n"), ("zoo.md", "")]
)
def test_the_python_of_the_pages_runs(page, printed, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)  # what it lists, changes
    blocks = PYTHON.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {})
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("name", FIGURES)
def test_texts_stay_where_they_belong(name, tmp_path):
    diagram = FIGURES[name]()
    diagram.save(tmp_path / "figure.png")
    scale = diagram.figure.dpi
    width, height = diagram.figure.get_size_inches()
    for text in diagram.axes.texts:
        extent = text.get_window_extent()
        assert 0 <= extent.x0 and extent.x1 <= width * scale, text.get_text()
        assert 0 <= extent.y0 and extent.y1 <= height * scale, text.get_text()
    assert diagram.labels
    for text, box in diagram.labels:
        extent = text.get_window_extent()
        left, right = box.left * scale, box.right * scale
        assert left < extent.x0 and extent.x1 < right, text.get_text()
        assert extent.height < (box.bottom - box.top) * scale, text.get_text()
    picture = ROOT / "docs" / "images" / f"{name}.png"
    assert picture.is_file(), "run python -m docs.figures"
    assert f"images/{name}.png" in (ROOT / "docs" / "concepts.md").read_text()


def test_roles_become_links():
    griffe = pytest.importorskip("griffe")
    from docs.roles import Roles

    code = '''
"""See :func:`~.a.one`, :class:`Two`, :meth:`Two.three` and :func:`torch.neg`."""
def one(): "As :class:`~toy.Two`."
class Two:
    "See :meth:`three`."
    def three(self): "Nothing."
'''
    with griffe.temporary_visited_module(code, module_name="toy") as module:
        Roles().on_package(pkg=module)
        assert module.docstring.value == (
            "See `one`, [`Two`][toy.Two], [`Two.three`][toy.Two.three] and `torch.neg`."
        )
        assert module["one"].docstring.value == "As [`Two`][toy.Two]."
        assert module["Two"].docstring.value == "See [`three`][toy.Two.three]."
