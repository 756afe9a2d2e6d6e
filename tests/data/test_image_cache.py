# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import multiprocessing
import os

import pytest
import torch
from PIL import Image
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.image_cache import ImageCache


@pytest.fixture
def paths(tmp_path):
    names = []
    for number in range(3):
        names.append(str(tmp_path / f"{number}.png"))
        Image.new("RGB", (4, 8), (number, 100, 200)).save(names[-1])
    return names


def test_reads_each_image_once(paths):
    cache = ImageCache(paths, (8, 4))
    first = [cache.read(path).clone() for path in paths]
    assert [image[:, 0, 0].tolist() for image in first] == [
        [number, 100, 200] for number in range(3)
    ]
    for path in paths:
        os.remove(path)
    for path, image in zip(paths, first):
        assert torch.equal(cache.read(path), image)


def test_repeated_paths_share_a_place(paths):
    cache = ImageCache(paths + paths, (8, 4))
    assert len(cache) == 3 and paths[0] in cache and "other" not in cache


def test_resizes(paths):
    assert ImageCache(paths, (6, 3)).read(paths[1]).shape == (3, 6, 3)


def test_a_forked_process_fills_it_for_all(paths):
    cache = ImageCache(paths, (8, 4))
    worker = multiprocessing.get_context("fork").Process(
        target=cache.read, args=(paths[2],)
    )
    worker.start()
    worker.join()
    os.remove(paths[2])
    assert cache.read(paths[2])[:, 0, 0].tolist() == [2, 100, 200]


def test_an_image_that_failed_is_tried_again(paths):
    cache = ImageCache(paths, (8, 4))
    os.rename(paths[0], paths[0] + ".away")
    with pytest.raises(DataError, match="0.png: the image is not there"):
        cache.read(paths[0])
    os.rename(paths[0] + ".away", paths[0])
    assert cache.read(paths[0])[1, 0, 0] == 100
