# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import numpy as np
import pytest
import torch
from PIL import Image
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.image_io import read_image


def pixels(height, width):
    values = torch.arange(height * width * 3) * 7 % 256
    return values.to(torch.uint8).view(height, width, 3)


def save(array, path, **options):
    Image.fromarray(np.asarray(array)).save(path, **options)
    return str(path)


def test_reads_channels_first(tmp_path):
    array = pixels(4, 3)
    image = read_image(save(array, tmp_path / "a.png"))
    assert image.dtype == torch.uint8 and image.is_contiguous()
    assert torch.equal(image, array.permute(2, 0, 1))


def test_resizes_with_antialiasing(tmp_path):
    # columns black, white, black, white: every second one alone would be black or white
    array = torch.tensor([[0, 255] * 8] * 16, dtype=torch.uint8)
    image = read_image(save(array, tmp_path / "a.png"), (4, 4))
    assert image.shape == (3, 4, 4)
    assert image.float().sub(127.5).abs().max() < 40


def test_grey_and_transparent_images_become_rgb(tmp_path):
    grey = torch.full((4, 4), 77, dtype=torch.uint8)
    assert (read_image(save(grey, tmp_path / "grey.png")) == 77).all()
    rgba = torch.tensor([10, 20, 30, 128], dtype=torch.uint8).expand(4, 4, 4)
    image = read_image(save(rgba, tmp_path / "rgba.png"))
    assert image[:, 0, 0].tolist() == [10, 20, 30]


def test_large_jpeg_is_close_to_the_plain_way(tmp_path):
    # a smooth ramp, so that decoding at a reduced size must give the same but for rounding
    ramp = torch.linspace(0, 255, 512).to(torch.uint8).view(-1, 1, 1)
    path = save(ramp.expand(512, 256, 3), tmp_path / "a.jpg", quality=95)
    plain = torch.from_numpy(
        np.asarray(Image.open(path).resize((32, 64), Image.Resampling.BILINEAR)).copy()
    ).permute(2, 0, 1)
    image = read_image(path, (64, 32))
    assert (image.int() - plain.int()).abs().max() <= 3


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_image_cut_short(tmp_path, suffix):
    path = tmp_path / f"cut.{suffix}"
    save(pixels(64, 64), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=f"cut.{suffix}: the image cannot be read, it"):
        read_image(str(path), (16, 8))


@pytest.mark.parametrize("content", [b"", b"not an image at all", b"\xff\xd8\xff"])
def test_not_an_image(tmp_path, content):
    path = tmp_path / "text.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match="text.jpg: not an image"):
        read_image(str(path))


def test_missing_image(tmp_path):
    with pytest.raises(DataError, match="gone.jpg: the image is not there"):
        read_image(str(tmp_path / "gone.jpg"))
