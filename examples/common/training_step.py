# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""One step of a training: losses and gradients, in one part or in several, and the optimizer's step."""

from contextlib import nullcontext
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional

import torch
from accelerate import Accelerator
from examples.common.distributed import highest_over_processes
from examples.common.loss_shares import loss_shares, RowCounter
from examples.common.sharding import whole_tensor
from torch import nn, Tensor
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.modules.layers.attention_kernel import attention_kernel

LossFunction = Callable[[nn.Module, PersonBatch, int], Dict[str, Tensor]]


class StepResult(NamedTuple):
    """What became of a step."""

    logged: Dict[str, Tensor]  # the loss, its terms by name, the gradient's norm
    is_skipped: bool  # loss or gradient was not finite: the weights are as before
    is_overflow: (
        bool  # fp16's scale was too high and has been lowered, as it is meant to be
    )
    stop_signal: int  # the highest that any process had received by then; 0 for none


class TrainingStep:
    """Moves the weights by one batch, unless its loss or gradient is not finite: then nothing of the model changes.

    All processes skip the same steps, and know of the same signals to stop: they agree on both in one small exchange.

    Args:
        accelerator (Accelerator): Device, precision and processes.
        model (nn.Module): As ``accelerator.prepare`` returned it.
        optimizer (torch.optim.Optimizer): As ``accelerator.prepare`` returned it.
        weights (Mapping[str, float]): Weight of each loss by name; a loss of weight 0 is not added.
        gradient_clip (float): Largest norm of the gradient; 0 for no limit.
        accumulate (int): Parts to cut the batch of each process into.
        stop_signal (Callable[[], int]): The number of the signal to stop that this process has received; 0 for none.
            Default: None was received.
        count_rows (Optional[RowCounter]): Of the losses that are no means over samples, see
            :func:`~examples.common.loss_shares.loss_shares`. Default: None, for none of them.

    Inputs:
        batch (PersonBatch): On the device.
        compute_losses (LossFunction): Model, batch and step to losses by name.
        step (int): How many steps are finished.

    Raises:
        ValueError: If the batch does not divide into the parts.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        weights: Mapping[str, float],
        gradient_clip: float = 0.0,
        accumulate: int = 1,
        stop_signal: Callable[[], int] = lambda: 0,
        count_rows: Optional[RowCounter] = None,
    ) -> None:
        self.accelerator = accelerator
        self.model = model
        self.optimizer = optimizer
        self.weights = weights
        self.largest_norm = gradient_clip if gradient_clip > 0 else float("inf")
        self.accumulate = accumulate
        self.stop_signal = stop_signal
        self.count_rows = count_rows
        self._buffers = _Buffers(accelerator.unwrap_model(model))

    def __call__(
        self, batch: PersonBatch, compute_losses: LossFunction, step: int
    ) -> StepResult:
        self.model.train()
        self._buffers.keep()
        logged = self._backward(batch, compute_losses, step)
        norm = self.accelerator.clip_grad_norm_(
            self.model.parameters(), self.largest_norm
        )
        logged["gradient_norm"] = whole_tensor(torch.as_tensor(norm).detach())
        scaler = self.accelerator.scaler
        is_bad_loss, is_bad_gradient, stop_signal = self._agree(logged)
        is_skipped, is_overflow = bool(is_bad_loss or is_bad_gradient), False
        if is_skipped:
            if scaler is not None:
                is_overflow = not is_bad_loss and scaler.get_scale() > 1
                scaler.update()
            self._buffers.put_back()
        else:
            self.optimizer.step()
        self.optimizer.zero_grad()
        return StepResult(logged, is_skipped, is_overflow, stop_signal)

    def _backward(
        self, batch: PersonBatch, compute_losses: LossFunction, step: int
    ) -> Dict[str, Tensor]:
        """Adds up the gradients of the parts; gives the losses of all of them together."""
        logged: Dict[str, Tensor] = {}
        parts = split_batch(batch, self.accumulate)
        shares = loss_shares(self.count_rows, parts, step, self.accelerator)
        for number, (part, share) in enumerate(zip(parts, shares), start=1):
            is_last = number == len(parts)
            # the gradients of several processes are added once, with those of the last part
            with nullcontext() if is_last else self.accelerator.no_sync(self.model):
                with (
                    self.accelerator.autocast(),
                    attention_kernel(self.accelerator.device),
                ):
                    losses = compute_losses(self.model, part, step)
                losses = {
                    name: loss * share.get(name, 1 / len(parts))
                    for name, loss in losses.items()
                }
                total = sum_losses(losses, self.weights)
                self.accelerator.backward(total)
            for name, loss in {"loss": total, **losses}.items():
                own = loss.detach()
                logged[name] = logged[name] + own if name in logged else own
        return logged

    def _agree(self, logged: Mapping[str, Tensor]) -> List[int]:
        """Whether any process's loss is not finite, whether its gradient is not, and the highest signal received."""
        loss, norm = logged["loss"], logged["gradient_norm"]
        is_bad = ~torch.stack([loss, norm.to(loss.device)]).isfinite()
        own = [*is_bad.int().tolist(), self.stop_signal()]
        return highest_over_processes(own, self.accelerator)


class _Buffers:
    """What a model notes in its forward pass, such as batch norms' statistics, to be put back after a bad batch."""

    def __init__(self, model: nn.Module) -> None:
        # by name: a module may put another tensor into the place of its buffer
        self._slots = [
            (module, name)
            for module in model.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None and name not in module._non_persistent_buffers_set
        ]
        self._kept: List[Tensor] = []

    @torch.no_grad()
    def keep(self) -> None:
        self._kept = [tensor.clone() for tensor in self._tensors()]

    @torch.no_grad()
    def put_back(self) -> None:
        for tensor, kept in zip(self._tensors(), self._kept):
            tensor.copy_(kept)

    def _tensors(self) -> List[Tensor]:
        return [getattr(module, name) for module, name in self._slots]


def split_batch(batch: PersonBatch, parts: int) -> List[PersonBatch]:
    """A batch cut into as many batches of the same size; the K images of an identity lie side by side and stay so.

    Raises:
        ValueError: If it does not divide.
    """
    size, rest = divmod(len(batch.index), parts)
    if rest or size == 0:
        raise ValueError(
            f"loop.accumulate is {parts}, but the batch of a process has {len(batch.index)} samples, which it does not "
            "divide"
        )
    if parts == 1:
        return [batch]
    return [batch.part(number * size, (number + 1) * size) for number in range(parts)]


def sum_losses(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of the losses whose weight is not 0.

    Raises:
        ValueError: If a loss has no weight, or none is left to train on.
    """
    unknown = sorted(set(losses) - set(weights))
    if unknown:
        raise ValueError(
            f"losses {', '.join(unknown)} have no weight, expected one of each: {', '.join(weights)}"
        )
    terms: List[Tensor] = [
        weights[name] * loss for name, loss in losses.items() if weights[name] != 0
    ]
    if not terms:
        raise ValueError(f"every loss of this batch has weight 0: {', '.join(losses)}")
    return torch.stack([term.float() for term in terms]).sum()
