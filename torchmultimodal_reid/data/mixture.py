# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import List, Sequence

import torch
from torchmultimodal_reid.data.dataset import SampleKey
from torchmultimodal_reid.data.samplers import StepSampler
from torchmultimodal_reid.utils.seeding import generator_for


class MixtureSampler:
    """Draws one of several samplers at each step, so that a batch is image-only, text-only or paired as a whole.

    A source's own batch number is how often it was drawn before: it goes through its data at its own pace, as if it
    were alone. Every rank draws the same source. The draws do not depend on ``num_steps``, so a run can be lengthened.

    Args:
        samplers (Sequence[StepSampler]): The sources, in the order of ``MixtureDataset``'s data sets.
        weights (Sequence[float]): How often each is drawn, relative to the others; 0 switches one off.
        num_steps (int): Number of steps of the run.
        seed (int): Seed of the draws.

    Raises:
        ValueError: If the weights do not fit.
    """

    def __init__(
        self,
        samplers: Sequence[StepSampler],
        weights: Sequence[float],
        num_steps: int,
        seed: int,
    ) -> None:
        if len(samplers) != len(weights):
            raise ValueError(
                f"give one weight for each sampler, got {len(weights)} weights for {len(samplers)} samplers"
            )
        if not weights or min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(
                f"weights must be >= 0 and at least one above 0, got {list(weights)}"
            )
        self.samplers = list(samplers)
        self.num_steps = num_steps
        # an epoch of a mixture: as many steps as its sources' epochs have together
        self.batches_per_epoch = sum(
            sampler.batches_per_epoch
            for sampler, weight in zip(samplers, weights)
            if weight > 0
        )
        self.sources = _draw(weights, num_steps, seed)
        self._batch_numbers = _count_before(self.sources, len(self.samplers))

    def batch(self, step: int) -> List[SampleKey]:
        if not 0 <= step < self.num_steps:
            raise ValueError(
                f"step must be between 0 and num_steps - 1 = {self.num_steps - 1}, got {step}"
            )
        source = self.sources[step]
        keys = self.samplers[source].batch(self._batch_numbers[step])
        return [key._replace(source=source) for key in keys]


def _draw(weights: Sequence[float], num_steps: int, seed: int) -> List[int]:
    generator = generator_for(seed, "sources")
    draws = torch.rand(num_steps, generator=generator, dtype=torch.float64)
    bounds = torch.tensor(weights, dtype=torch.float64).cumsum(0)
    # right=True: a draw on a bound belongs to the next source, so one of weight 0 is never drawn
    sources = torch.searchsorted(bounds, draws * bounds[-1], right=True)
    last = max(i for i, weight in enumerate(weights) if weight > 0)
    return sources.clamp(max=last).tolist()


def _count_before(sources: Sequence[int], num_sources: int) -> List[int]:
    counts = [0] * num_sources
    numbers = []
    for source in sources:
        numbers.append(counts[source])
        counts[source] += 1
    return numbers
