# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import PersonSample


def sample(index, image=True, text=None):
    return PersonSample(
        torch.full((3, 4, 2), index, dtype=torch.uint8) if image else None,
        None if text is None else torch.tensor(text),
        identity=10 + index,
        camera=index % 2,
        index=index,
    )


def test_pads_to_the_longest_text_of_the_batch():
    batch = Collate(pad_id=0)([sample(0, text=[2, 5, 3]), sample(1, text=[2, 5, 6, 3])])
    assert batch.text.tolist() == [[2, 5, 3, 0], [2, 5, 6, 3]]
    assert batch.text.dtype == torch.long
    assert batch.text_padding.tolist() == [[False, False, False, True], [False] * 4]
    assert torch.equal(batch.image[:, 0, 0, 0], torch.tensor([0, 1], dtype=torch.uint8))
    assert batch.image.shape == (2, 3, 4, 2)
    assert batch.identity.tolist() == [10, 11]
    assert batch.camera.tolist() == [0, 1] and batch.index.tolist() == [0, 1]


def test_padding_is_told_by_length():
    # the pad id inside a text is not padding
    batch = Collate(pad_id=5)([sample(0, text=[2, 5, 3]), sample(1, text=[2, 3])])
    assert batch.text_padding.tolist() == [[False] * 3, [False, False, True]]
    assert batch.text[1, 2] == 5


def test_images_only():
    batch = Collate(0)([sample(0), sample(1)])
    assert batch.text is None and batch.text_padding is None
    assert batch.image.dtype == torch.uint8


def test_text_only():
    batch = Collate(0)([sample(0, image=False, text=[2, 3])])
    assert batch.image is None and batch.text.shape == (1, 2)


@pytest.mark.parametrize("text", [None, [2, 3]])
def test_to_another_device(text):
    batch = Collate(0)([sample(0, text=text)]).to("meta")
    assert batch.image.device.type == batch.index.device.type == "meta"
    assert (batch.text is None) == (text is None)
    assert text is None or batch.text_padding.device.type == "meta"


@pytest.mark.parametrize(
    "other, message",
    [
        (sample(1, image=False, text=[2, 3]), "1 of 2 samples of a batch have image"),
        (sample(1), "1 of 2 samples of a batch have text"),
    ],
)
def test_mixed_samples(other, message):
    with pytest.raises(ValueError, match=message):
        Collate(0)([sample(0, text=[2, 3]), other])
