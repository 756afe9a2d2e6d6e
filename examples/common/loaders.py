# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The batches of a training and of an evaluation, whatever the number of worker processes."""

from typing import Sequence

from examples.common.patient_loader import PatientLoader
from torch.utils.data import Dataset
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.data.samplers import (
    IdentitySampler,
    StepBatchSampler,
    StepSampler,
)


def identity_sampler(
    images: Sequence[PersonImage],
    identities_per_batch: int,
    images_per_identity: int,
    seed: int,
    rank: int,
    world_size: int,
) -> IdentitySampler:
    """PxK batches of a reader's images: one person under several cameras, where there are several."""
    return IdentitySampler(
        [image.identity for image in images],
        identities_per_batch,
        images_per_identity,
        seed,
        rank,
        world_size,
        cameras=[image.camera for image in images],
    )


def training_loader(
    dataset: Dataset,
    sampler: StepSampler,
    collate: Collate,
    *,
    start: int,
    stop: int,
    workers: int,
    max_unreadable: int = 0,
) -> PatientLoader:
    """One batch for each step from ``start`` to ``stop``; the worker count changes nothing but the speed.

    Args:
        dataset (Dataset): Of samples.
        sampler (StepSampler): The keys of each step.
        collate (Collate): Samples to a batch.
        start (int): First step: where a run begins or resumes. What came before it is not read again.
        stop (int): Step to end before.
        workers (int): Processes that read images.
        max_unreadable (int): How many images may be replaced by others. Default: 0
    """
    return PatientLoader(
        dataset,
        collate,
        lambda finished: StepBatchSampler(sampler, start + finished, stop),
        workers,
        prefetch=4,
        max_unreadable=max_unreadable,
    )


def evaluation_loader(
    dataset: Dataset,
    collate: Collate,
    *,
    batch_size: int,
    workers: int,
    rank: int = 0,
    world_size: int = 1,
) -> PatientLoader:
    """Every row of this process's share, once and in order; nothing is dropped.

    Batches are dealt out whole: each is the very batch that one process would have, with the same padding, so that a
    feature has the same last digit however many processes there are.
    """
    rows = list(range(len(dataset)))  # type: ignore[arg-type]
    batches = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    share = batches[rank::world_size]
    return PatientLoader(
        dataset, collate, lambda finished: share[finished:], workers, prefetch=2
    )
