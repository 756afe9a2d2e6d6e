# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""From counts and assumed rates to the time and memory of a step on some GPUs: arithmetic alone."""

from typing import List, NamedTuple, Sequence

# a multiply-add is two operations, and the backward pass computes twice what the forward pass does
OPERATIONS = 2 * 3
GPUS = (1, 8, 64)
# float32: weights, gradients, and two of the optimizer, AdamW's moments or momentum and Lookahead's slow weights
STATE_BYTES = 4 * 4
GRADIENT_BYTES = 4
# AdamW reads four float32 and writes three for each weight, the limit on the gradient's norm reads two and writes one
OPTIMIZER_BYTES = 4 * 10


class Assumed(NamedTuple):
    """Of a GPU and what joins it to others. None of it was measured here."""

    # operations a second in bfloat16, without sparsity: the data sheet of an H100 SXM
    peak: float = 989e12
    utilisation: float = 0.3  # share of it that a training reaches
    memory: float = 80e9  # bytes
    traffic: float = 2e12  # bytes a second between its memory and the optimizer
    start: float = 8e-6  # seconds in which torch starts an operation, uncompiled
    node: int = 8  # GPUs of a machine
    inside: float = 300e9  # bytes a second, summing gradients within a machine
    # the same over machines, by one network card of 400 Gb/s each
    between: float = 40e9


class Count(NamedTuple):
    """Of one kind of step."""

    training: str  # to which it belongs
    kind: str
    parameters: int
    multiply_adds: int  # a sample, forward
    operations: int  # that torch starts a step, forward and backward
    kept: int  # bytes of a sample that wait for the backward pass
    sent: int  # bytes of a sample that go to the device


class Plan(NamedTuple):
    """A run on some GPUs."""

    gpus: int
    batch: int  # samples a step, over all GPUs
    steps: int


class Estimate(NamedTuple):
    """Of a training by a plan."""

    compute: float  # seconds a step, of the GPU
    start: float  # seconds a step in which its operations are started, while the GPU computes
    optimizer: float  # seconds a step
    exchange: float  # seconds that gradients are on their way, part of it while the backward pass goes on
    step: float
    exchanged: float  # bytes of gradients that each GPU sends a step
    memory: float  # bytes a GPU


def estimate(counts: Sequence[Count], plan: Plan, assumed: Assumed) -> Estimate:
    """The cost of a training whose steps are of each of the kinds equally often.

    A step takes as long as the slower of computing and starting what is computed. Gradients are summed while the
    backward pass goes on, two thirds of it; what takes longer adds to it, and so does the optimizer.
    """
    samples = plan.batch / plan.gpus
    macs, started = (
        sum(getattr(one, name) for one in counts) / len(counts)
        for name in ("multiply_adds", "operations")
    )
    compute = OPERATIONS * macs * samples / (assumed.peak * assumed.utilisation)
    start = started * assumed.start
    optimizer = OPTIMIZER_BYTES * counts[0].parameters / assumed.traffic
    gradients = GRADIENT_BYTES * counts[0].parameters
    # a ring: each GPU sends all but its own share twice
    exchanged = 2 * (plan.gpus - 1) / plan.gpus * gradients
    rate = assumed.inside if plan.gpus <= assumed.node else assumed.between
    exchange = exchanged / rate
    memory = STATE_BYTES * counts[0].parameters
    if plan.gpus > 1:
        memory += gradients  # the buckets that are sent
    memory += samples * max(one.kept for one in counts)
    busy = max(compute, start)
    step = busy / 3 + max(2 * busy / 3, exchange) + optimizer
    return Estimate(compute, start, optimizer, exchange, step, exchanged, memory)


def plans(batch: int, steps: int) -> List[Plan]:
    """The published batch on the GPUs that divide it; where some do not, also a whole batch on each GPU.

    That for as many samples as published, in fewer steps, and for as many steps, over more samples.
    """
    shared = [Plan(gpus, batch, steps) for gpus in GPUS if batch % gpus == 0]
    if len(shared) == len(GPUS):
        return shared
    several = [gpus for gpus in GPUS if gpus > 1]
    as_many_samples = [Plan(gpus, batch * gpus, steps // gpus) for gpus in several]
    as_many_steps = [Plan(gpus, batch * gpus, steps) for gpus in several]
    return [*shared, *as_many_samples, *as_many_steps]
