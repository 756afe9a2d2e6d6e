# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from dataclasses import dataclass
from typing import Callable, List, Optional

import torch
from torch import Tensor
from torchmultimodal_reid.generation.constraints import (
    allowed_log_probs,
    check_max_length,
    check_no_repeat,
)
from torchmultimodal_reid.generation.protocols import Generated, NextToken, TokenIds


@dataclass(frozen=True)
class Greedy:
    """The likeliest token at each step. It stops when each caption has ended.

    Args:
        no_repeat_ngram (int): No so many tokens in a row come twice in a caption. Default: 0, off

    Raises:
        ValueError: If ``no_repeat_ngram`` is negative.
    """

    no_repeat_ngram: int = 0

    def __post_init__(self) -> None:
        check_no_repeat(self.no_repeat_ngram)

    def __call__(
        self, next_token: NextToken, n_image: int, ids: TokenIds, max_length: int
    ) -> Generated:
        """See :class:`~torchmultimodal_reid.generation.protocols.Search`; one caption an image."""
        return _write(
            lambda log_probs: log_probs.argmax(dim=-1),
            next_token,
            n_image,
            1,
            ids,
            max_length,
            self.no_repeat_ngram,
        )


@dataclass(frozen=True)
class NucleusSampling:
    """Tokens drawn from the fewest that hold ``top_p`` of the probability (https://arxiv.org/abs/1904.09751).

    Args:
        top_p (float): Share of the probability, above 0 and at most 1. Default: 0.9
        temperature (float): Above 1 flattens the probabilities first, below 1 sharpens them. Default: 1.0
        num_captions (int): Captions of an image. They are in the order in which they were drawn. Default: 1
        no_repeat_ngram (int): No so many tokens in a row come twice in a caption. Default: 0, off
        generator (Optional[torch.Generator]): What is drawn from, on the model's device. Default: None, the global one

    Raises:
        ValueError: If an option is out of its bounds.
    """

    top_p: float = 0.9
    temperature: float = 1.0
    num_captions: int = 1
    no_repeat_ngram: int = 0
    generator: Optional[torch.Generator] = None

    def __post_init__(self) -> None:
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        if self.num_captions < 1:
            raise ValueError(
                f"num_captions must be at least 1, got {self.num_captions}"
            )
        check_no_repeat(self.no_repeat_ngram)

    def __call__(
        self, next_token: NextToken, n_image: int, ids: TokenIds, max_length: int
    ) -> Generated:
        """See :class:`~torchmultimodal_reid.generation.protocols.Search`."""
        return _write(
            self._draw,
            next_token,
            n_image,
            self.num_captions,
            ids,
            max_length,
            self.no_repeat_ngram,
        )

    def _draw(self, log_probs: Tensor) -> Tensor:
        ranked, index = (log_probs / self.temperature).softmax(-1).sort(descending=True)
        # the token that crosses the share still belongs to the nucleus
        before = ranked.cumsum(dim=-1) - ranked
        ranked = ranked.masked_fill(before >= self.top_p, 0.0)
        drawn = torch.multinomial(ranked, 1, generator=self.generator)
        return index.gather(1, drawn).squeeze(1)


@torch.no_grad()
def _write(
    choose: Callable[[Tensor], Tensor],
    next_token: NextToken,
    n_image: int,
    num_captions: int,
    ids: TokenIds,
    max_length: int,
    no_repeat_ngram: int,
) -> Generated:
    """Writes each caption by itself; ``choose`` takes log-probabilities of a row each to its token."""
    check_max_length(max_length)
    logits = next_token(torch.full((n_image,), ids.start), None)
    images = torch.arange(n_image, device=logits.device)
    rows = images.repeat_interleave(num_captions)
    logits = logits[rows]
    tokens = torch.empty(len(rows), 0, dtype=torch.long, device=logits.device)
    written: List[Tensor] = []
    ended = torch.zeros(len(rows), dtype=torch.bool, device=logits.device)
    while True:
        log_probs = allowed_log_probs(logits, tokens, ids, no_repeat_ngram)
        chosen = choose(log_probs)
        gained = log_probs.gather(1, chosen.unsqueeze(1)).squeeze(1)
        chosen = chosen.masked_fill(ended, ids.pad)
        written.append(gained.masked_fill(ended, 0.0))
        tokens = torch.cat([tokens, chosen.unsqueeze(1)], dim=1)
        ended = ended | (chosen == ids.end)
        if tokens.shape[1] == max_length or ended.all():
            break
        logits = next_token(chosen, rows)
        rows = torch.arange(len(rows), device=logits.device)
    log_probs = torch.stack(written, dim=1).view(n_image, num_captions, -1)
    return Generated(
        tokens.view(n_image, num_captions, -1), log_probs, log_probs.sum(dim=-1)
    )
