# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What the losses of a part of a batch, or of one of several processes, say of the whole."""

import pytest
import torch
from examples.common.distributed import GatheredRows
from examples.mmet import losses
from examples.mmet.losses import Contrast, contrast_all, contrast_losses
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.models.mmet import mmet_tiny
from torchmultimodal_reid.models.mmet_pretraining import (
    mmet_for_pretraining,
    multimodal_masking,
)
from torchmultimodal_reid.transforms.image import Normalize

WORDS = ("mlm", "mmm_text")
MASKED = ("mim", *WORDS, "mmm_image")
OTHERS = ("itm", "gc", "gc_image", "gc_text")


@pytest.fixture
def batch():
    """Eight captions of two to nine words."""
    generator = torch.Generator().manual_seed(0)
    shape = (8, 3, 32, 16)
    image = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    padding = torch.arange(9) >= torch.arange(2, 10).unsqueeze(1)
    text = torch.randint(5, 40, (8, 9), generator=generator).masked_fill(padding, 0)
    index = torch.arange(8)
    return PersonBatch(image, text, padding, index // 2, index, index)


@pytest.fixture
def build():
    """The model of a masked stream and the losses of its pretraining."""

    def build(mode, masked_share):
        masking = multimodal_masking(
            vocab_size=40, mask_id=4, special_ids=range(5), token_ratio=(0.5, 0.5)
        )
        torch.manual_seed(0)
        encoders = mmet_tiny(
            image_size=(32, 16), patch_size=8, vocab_size=40, masking=masking
        )
        model = mmet_for_pretraining(
            encoders,
            vocab_size=40,
            patch_size=8,
            itm=False,
            masked_stream=mode,
            masked_share=masked_share,
            contrast_masked=False,
        )
        weights = {**dict.fromkeys(MASKED, 1.0), **dict.fromkeys(OTHERS, 0.0)}
        normalize = Normalize((0.5,) * 3, (0.5,) * 3)
        return model.eval(), losses.PretrainingLosses(
            normalize, weights, 0, model.draw_mask
        )

    return build


@pytest.mark.parametrize("mode", ["replace", "drop"])
@pytest.mark.parametrize("masked_share", [1.0, 0.5])
def test_parts_count_as_they_have_masked_words(mode, masked_share, build, batch):
    model, compute = build(mode, masked_share)
    whole = compute(model, batch, 3)
    parts = [batch.part(start, start + 2) for start in range(0, 8, 2)]
    rows = [compute.count_rows(part, 3) for part in parts]
    assert all(row.keys() == set(WORDS) for row in rows)
    assert len({int(row["mlm"]) for row in rows}) > 1
    terms = [compute(model, part, 3) for part in parts]
    for name in MASKED:
        shares = torch.tensor([float(row.get(name, 1)) for row in rows])
        means = torch.stack([term[name] for term in terms])
        mean = (means * shares).sum() / shares.sum()
        torch.testing.assert_close(mean, whole[name], rtol=1e-5, atol=1e-5)


def test_images_alone_have_no_words_to_count(build, batch):
    _, compute = build("replace", 1.0)
    assert compute.count_rows(batch._replace(text=None, text_padding=None), 3) == {}


def test_contrasts_of_processes_with_other_numbers_of_positives(monkeypatch):
    """Persons 0 and 3 are there twice, 1 and 2 once: a contrast without own pairs has nothing to pull those to."""
    identity = torch.tensor([0, 0, 1, 2, 3, 3])
    rows = torch.arange(24.0).reshape(6, 4).sin()
    pairs, others = contrast_losses()
    contrasts = (
        Contrast("gc", "image", "text", pairs),
        Contrast("gc_image", "image", "image", others),
    )

    def contrast(start, stop):
        def gather_rows(embeddings, own):
            kinds = {"image": rows, "text": -rows}
            return {
                kind: GatheredRows(kinds[kind], identity, start) for kind in embeddings
            }

        monkeypatch.setattr(losses, "gather_rows", gather_rows)
        own = {"image": rows[start:stop], "text": -rows[start:stop]}
        return contrast_all(contrasts, own, identity[start:stop], 2.0)

    whole = contrast(0, 6)
    for size in (1, 2, 3):
        parts = [contrast(start, start + size) for start in range(0, 6, size)]
        for name, value in whole.items():
            mean = sum(part[name] for part in parts) / len(parts)
            torch.testing.assert_close(mean, value)
