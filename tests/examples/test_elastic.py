# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a step learns from is a function of seed and step: not of workers, nor of processes, nor of breaks."""

import pytest
import torch
from examples.common.distributed import draws_of
from examples.common.loaders import identity_sampler, training_loader
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import MixtureDataset, PersonDataset
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.mixture import MixtureSampler
from torchmultimodal_reid.data.samplers import ShuffleSampler
from torchmultimodal_reid.modules.masking.multimodal import MaskedMultimodalModeling
from torchmultimodal_reid.modules.masking.patch_masking import BlockPatchMasking
from torchmultimodal_reid.modules.masking.token_masking import TokenMasking
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import TrainImageTransform

STEPS, SEED = 6, 4


def shuffled(data, rank, world_size):
    # 16 images: a batch crosses the end of an epoch
    return ShuffleSampler(len(data), 12, SEED, rank, world_size)


def of_identities(data, rank, world_size):
    # as many of each as it has images: some come twice in an epoch
    return identity_sampler(data.images, 4, 3, SEED, rank, world_size)


@pytest.fixture(params=["shuffled", "of identities", "mixture"])
def load(request, build_market, tokenizer):
    """The batches of some steps, as one of several processes sees them."""
    images = market1501(build_market(size=(32, 16))).train
    look, read = TrainImageTransform((16, 8)), CaptionTransform(tokenizer)
    paired = PersonDataset(images, look, read, seed=SEED)
    alone = PersonDataset(images, look, seed=SEED)
    make = of_identities if request.param == "of identities" else shuffled

    def load(rank, world_size, workers=0, start=0, stop=STEPS):
        data, sampler = paired, make(paired, rank, world_size)
        if request.param == "mixture":
            data = MixtureDataset([paired, alone])
            parts = [make(one, rank, world_size) for one in data.datasets]
            sampler = MixtureSampler(parts, [2, 1], STEPS, SEED)
        collate = Collate(tokenizer.pad_id)
        options = {"start": start, "stop": stop, "workers": workers}
        return list(training_loader(data, sampler, collate, **options))

    return load


@pytest.fixture
def masking(tokenizer):
    words = TokenMasking(
        tokenizer.vocab_size, tokenizer.mask_id, tokenizer.special_ids, ratio=(0.2, 0.6)
    )
    return MaskedMultimodalModeling(BlockPatchMasking((0.2, 0.6)), words)


@pytest.fixture
def steps(load, masking):
    """The rows that all processes together learn from in some steps: images, tokens and masks, without padding."""

    def rows_of(batch, step):
        mask = masking(
            (4, 2),
            batch.text,
            batch_size=len(batch.index),
            generator=draws_of(batch, SEED, "masks", step),
        )
        for row, path in enumerate(batch.paths):
            tensors = [batch.image[row], mask.masked_patches[row]]
            if batch.text is not None:
                words = ~batch.text_padding[row]
                parts = (batch.text, mask.masked_tokens, mask.masked_text)
                tensors += [part[row][words] for part in parts]
            yield path, [tensor.tolist() for tensor in tensors]

    def steps(world_size=1, workers=0, start=0, stop=STEPS):
        shares = [
            load(rank, world_size, workers, start, stop) for rank in range(world_size)
        ]
        return [
            [row for batch in batches for row in rows_of(batch, start + number)]
            for number, batches in enumerate(zip(*shares))
        ]

    return steps


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker")
def test_workers_and_processes_change_nothing(steps):
    whole = steps()
    assert len(whole) == STEPS and all(len(rows) == 12 for rows in whole)
    # no two rows are alike, so that the order counts
    assert len({str(row) for rows in whole for row in rows}) == STEPS * 12
    for workers in (1, 3):
        assert steps(workers=workers) == whole
    for world_size in (2, 4):
        assert steps(world_size) == whole


def test_a_break_in_the_midst_of_an_epoch_changes_nothing(steps):
    whole = steps()
    # on one process, then on four, then on two
    parts = [steps(1, stop=1), steps(4, start=1, stop=4), steps(2, start=4)]
    assert [rows for part in parts for rows in part] == whole


def test_nothing_before_the_break_is_read_again(load, monkeypatch):
    read = []
    monkeypatch.setattr(
        "torchmultimodal_reid.data.dataset.read_image",
        lambda path, size: read.append(path)
        or torch.zeros(3, *size, dtype=torch.uint8),
    )
    (batch,) = load(0, 1, start=STEPS - 1)
    assert read == list(batch.paths)
