# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


"""A folder is searched by a description, an image or both; what was embedded once is not embedded again."""

import shutil

import pytest
import torch
from examples.common.main import run_main
from examples.mmet.search import bring_up_to_date, main
from PIL import Image
from torchmultimodal_reid.search.gallery_index import GalleryIndex

pytest.importorskip("faiss")


@pytest.fixture
def gallery(world, tmp_path):
    return shutil.copytree(world / "bounding_box_test", tmp_path / "gallery")


@pytest.fixture
def search(finetuned, gallery, tmp_path, capsys):
    """Runs a search and returns its status and what it said."""

    def search(*more, output="out"):
        capsys.readouterr()
        where = ["--gallery", str(gallery), "--output", str(tmp_path / output)]
        arguments = [*where, "--checkpoint", str(finetuned / "best"), *more]
        try:
            run_main(lambda: main(arguments))
        except SystemExit as stop:
            return int(stop.code or 0), "".join(capsys.readouterr())
        return 0, "".join(capsys.readouterr())

    return search


def test_an_image_finds_itself_first(search, gallery, tmp_path):
    name = sorted(gallery.iterdir())[3].name
    status, text = search("--image", str(gallery / name), "--top-k", "4")
    assert status == 0, text
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.split()[:1] == ["1"])
    assert lines[first].split() == ["1", "1.000", name]
    assert [line.split()[0] for line in lines[first : first + 4]] == list("1234")
    with Image.open(tmp_path / "out" / "results.png") as picture:
        assert min(picture.size) > 100


def test_what_is_known_is_not_embedded_again(search, gallery, tmp_path):
    status, text = search("--text", "a woman in a red coat with a backpack")
    assert status == 0 and "0 images known, 8 embedded, 0 removed" in text
    names = sorted(path.name for path in gallery.iterdir())
    (gallery / names[0]).unlink()
    shutil.copy(gallery / names[1], gallery / "new.jpg")
    status, text = search("--text", "a red coat", "--image", str(gallery / names[2]))
    assert status == 0 and "7 images known, 1 embedded, 1 removed" in text
    assert "new.jpg" in text and names[0] not in text


def test_bad_requests_are_told_before_anything_is_written(search, gallery, tmp_path):
    for more, expected in (
        ([], "give --text, --image or both"),
        (["--text", " "], "--text is empty"),
        (["--text", "a coat", "--top-k", "0"], "--top-k must be at least 1"),
        (["--image", str(tmp_path / "no.jpg")], "no.jpg: the image is not there"),
    ):
        status, text = search(*more)
        assert status == 2 and expected in text and "Traceback" not in text
    for path in gallery.iterdir():
        path.unlink()
    status, text = search("--text", "a coat")
    assert status == 2 and "holds no image; expected files that end in .jpg" in text
    assert not (tmp_path / "out").exists()


class Zeros:
    fingerprint = "another model"

    def embed(self, images):
        return torch.ones(len(images), 2)


def test_index_of_another_model_or_folder_is_refused(gallery, world, tmp_path):
    encoder = Zeros()
    index, _ = bring_up_to_date(str(gallery), tmp_path / "index", encoder)
    assert len(index) == 8
    with pytest.raises(ValueError, match="is the index of another folder"):
        bring_up_to_date(str(world / "query"), tmp_path / "index", encoder)
    encoder.fingerprint = "this model"
    with pytest.raises(ValueError, match="was built with another model"):
        bring_up_to_date(str(gallery), tmp_path / "index", encoder)
    assert len(GalleryIndex.load(tmp_path / "index", "another model")) == 8
