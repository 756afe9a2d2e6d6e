# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What pretraining on FineGPR costs: what a sample computes and keeps, counted; from assumed rates of GPUs, its time.

    python -m benchmarks.cost_model                      # the tables of docs/scaling.md but the measured one
    python -m benchmarks.cost_model --only-measure       # that one: how this machine's processor does the same steps
    python -m benchmarks.cost_model --peak 312e12 --memory 80e9 --utilisation 0.4    # another GPU

Multiply-adds are fvcore's for the real models, with a real batch's second passes and heads. No GPU was measured: each
of their rates is an assumption with a name, and the times are worth no more than they are.
"""

import argparse
from functools import partial
from typing import Any, Callable, Dict, List, Sequence, Tuple

import torch
from benchmarks.cost_estimate import (
    Assumed,
    Count,
    estimate,
    GRADIENT_BYTES,
    Plan,
    plans,
    STATE_BYTES,
)
from benchmarks.measured_steps import measured_table
from benchmarks.training_loads import (
    each_apart,
    kept_bytes,
    Load,
    mmet_config,
    mmet_load,
    multiply_adds,
    operations,
    vtbr_config,
    vtbr_load,
)
from tabulate import tabulate

FINEGPR = 2_028_600  # images, as docs/datasets.md says
MMET_TOKENS, VTBR_TOKENS = 42, 40  # of a caption: 40 words; the longest that is read
KINDS = ("paired", "image", "text")


def published() -> Dict[str, Plan]:
    """Batch and steps of the configurations."""
    mmet, vtbr = mmet_config(), vtbr_config()
    plan = Plan(1, mmet.batch_size, mmet.loop.steps)
    return {
        "MMET, replace": plan,
        "MMET, drop": plan,
        "VTBR": Plan(1, vtbr.batch_size, vtbr.loop.steps),
    }


def count(training: str, kind: str, make: Callable[[], Load]) -> Count:
    """Counts one kind of step, on the CPU."""
    torch.manual_seed(0)
    load = make()
    batch = load.make_batch(1)
    tensors = [part for part in batch if isinstance(part, torch.Tensor)]
    return Count(
        training,
        kind,
        sum(parameter.numel() for parameter in load.model.parameters()),
        multiply_adds(load),
        operations(load),
        kept_bytes(load),
        sum(tensor.nbytes for tensor in tensors),
    )


def count_all() -> List[Count]:
    jobs: List[Tuple[str, str, Callable[[], Load]]] = [
        (f"MMET, {mode}", kind, partial(mmet_load, mode, kind, MMET_TOKENS))
        for mode in ("replace", "drop")
        for kind in KINDS
    ]
    jobs.append(("VTBR", "paired", partial(vtbr_load, VTBR_TOKENS)))
    return each_apart(count, jobs)


def by_training(counts: Sequence[Count]) -> Dict[str, List[Count]]:
    found: Dict[str, List[Count]] = {}
    for one in counts:
        found.setdefault(one.training, []).append(one)
    return found


def markdown(rows: Sequence[Sequence[Any]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def counts_table(counts: Sequence[Count]) -> str:
    rows = [(*one[:2], *(f"{number:,}" for number in one[2:])) for one in counts]
    headers = ["training", "step of", "parameters", "multiply-adds", "operations"]
    return markdown(rows, [*headers, "bytes kept", "bytes to the device"])


def assumptions_table(assumed: Assumed) -> str:
    rows = [
        ("operations a second in bfloat16, data sheet of an H100 SXM", assumed.peak),
        ("share of them that a training reaches", assumed.utilisation),
        ("bytes of memory", assumed.memory),
        ("bytes a second between memory and optimizer", assumed.traffic),
        ("seconds in which torch starts an operation", assumed.start),
        ("GPUs of a machine", assumed.node),
        ("bytes a second, summing gradients within a machine", assumed.inside),
        (
            "the same over machines, one network card of 400 Gb/s each",
            assumed.between,
        ),
    ]
    return markdown([(name, f"{value:g}") for name, value in rows], ["assumed", ""])


def costs_table(
    counts: Sequence[Count], trainings: Dict[str, Plan], assumed: Assumed
) -> str:
    """One row for each training and plan; ``trainings`` has what each is published with."""
    rows = []
    for name, own in by_training(counts).items():
        for plan in plans(trainings[name].batch, trainings[name].steps):
            cost = estimate(own, plan, assumed)
            hours = cost.step * plan.steps / 3600
            rows.append(
                (
                    name,
                    plan.gpus,
                    f"{plan.batch:,}",
                    f"{plan.steps:,}",
                    f"{plan.batch * plan.steps / FINEGPR:.1f}",
                    f"{1000 * cost.compute:.1f}",
                    f"{1000 * cost.start:.1f}",
                    f"{1000 * cost.optimizer:.1f}",
                    f"{1000 * cost.exchange:.1f}",
                    f"{cost.exchanged / 1e9:.2f}",
                    f"{1000 * cost.step:.1f}",
                    f"{plan.batch / plan.gpus / cost.step:,.0f}",
                    f"{cost.memory / 1e9:.1f}",
                    f"{hours:.1f}",
                    f"{hours * plan.gpus:,.0f}",
                )
            )
    headers = ["training", "GPUs", "batch", "steps", "epochs", "computing, ms"]
    headers += [
        "starting, ms",
        "optimizer, ms",
        "exchange, ms",
        "GB exchanged",
        "step, ms",
    ]
    headers += ["samples/s a GPU", "GB a GPU", "hours", "GPU hours"]
    return markdown(rows, headers)


def room_table(counts: Sequence[Count], assumed: Assumed) -> str:
    """How many samples fit beside weights and optimizer, with a tenth of the memory left over."""
    rows = []
    for name, own in by_training(counts).items():
        state = (STATE_BYTES + GRADIENT_BYTES) * own[0].parameters
        room = 0.9 * assumed.memory - state
        kept = max(one.kept for one in own)
        checkpoint = (STATE_BYTES - GRADIENT_BYTES) * own[0].parameters
        sizes = (
            f"{state / 1e9:.1f}",
            f"{checkpoint / 1e9:.1f}",
            f"{room // kept:,.0f}",
        )
        rows.append((name, *sizes))
    headers = ["training", "GB before any sample", "GB of a checkpoint"]
    return markdown(rows, [*headers, "samples that fit on a GPU"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in Assumed()._asdict().items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--only-measure", action="store_true")
    arguments = vars(parser.parse_args())
    if arguments.pop("only_measure"):
        print(measured_table(MMET_TOKENS, VTBR_TOKENS))
        return
    assumed = Assumed(**arguments)
    counts = count_all()
    for table in (
        counts_table(counts),
        assumptions_table(assumed),
        costs_table(counts, published(), assumed),
        room_table(counts, assumed),
    ):
        print(table, end="\n\n")


if __name__ == "__main__":
    main()
