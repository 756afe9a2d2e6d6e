# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from dataclasses import dataclass
from typing import NamedTuple, Tuple

import torch
from torch import Tensor
from torchmultimodal_reid.generation.constraints import (
    allowed_log_probs,
    check_max_length,
    check_no_repeat,
)
from torchmultimodal_reid.generation.protocols import Generated, NextToken, TokenIds


class _Captions(NamedTuple):
    """Some captions of each image, the best first. While they go on, a score is the sum of the log-probabilities."""

    tokens: Tensor  # shape: (b, n, t)
    log_probs: Tensor  # shape: (b, n, t)
    scores: Tensor  # shape: (b, n)

    def take(self, index: Tensor) -> "_Captions":
        """Those at ``index``, long, of shape ``(b, m)``."""
        wide = index.unsqueeze(-1).expand(-1, -1, self.tokens.shape[-1])
        return _Captions(
            self.tokens.gather(1, wide),
            self.log_probs.gather(1, wide),
            self.scores.gather(1, index),
        )

    def pad(self, length: int, pad_id: int) -> "_Captions":
        more = (0, length - self.tokens.shape[-1])
        return self._replace(
            tokens=torch.nn.functional.pad(self.tokens, more, value=pad_id),
            log_probs=torch.nn.functional.pad(self.log_probs, more),
        )

    def join(self, other: "_Captions") -> "_Captions":
        return _Captions(*(torch.cat(pair, dim=1) for pair in zip(self, other)))


@dataclass(frozen=True)
class BeamSearch:
    """Keeps the likeliest beginnings of captions, in one batch over images and beams.

    A caption ends when its end is among the ``beam_size`` likeliest continuations of its image's beams. The score of
    one that ended is its log-probability divided by ``length ** length_penalty``
    (https://arxiv.org/abs/1609.08144), the end counted in the length. The search stops when no beam can become better
    than what ended, so it finds what it would find without stopping. Beams that ``max_length`` cuts off come after all
    that ended.

    Args:
        beam_size (int): Beginnings kept of each image. Default: 5
        length_penalty (float): 0 prefers short captions as probability does, 1 compares means. Default: 0.0
        num_captions (int): Captions of an image, at most ``beam_size``. Default: 1
        no_repeat_ngram (int): No so many tokens in a row come twice in a caption. Default: 0, off

    Raises:
        ValueError: If an option is out of its bounds, or the vocabulary is smaller than twice ``beam_size``.
    """

    beam_size: int = 5
    length_penalty: float = 0.0
    num_captions: int = 1
    no_repeat_ngram: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.num_captions <= self.beam_size:
            raise ValueError(
                f"num_captions must be from 1 to beam_size {self.beam_size}, got {self.num_captions}"
            )
        if self.length_penalty < 0:
            raise ValueError(
                f"length_penalty must be at least 0, got {self.length_penalty}"
            )
        check_no_repeat(self.no_repeat_ngram)

    @torch.no_grad()
    def __call__(
        self, next_token: NextToken, n_image: int, ids: TokenIds, max_length: int
    ) -> Generated:
        """See :class:`~torchmultimodal_reid.generation.protocols.Search`."""
        check_max_length(max_length)
        logits = next_token(torch.full((n_image,), ids.start), None)
        if logits.shape[-1] < 2 * self.beam_size:
            raise ValueError(
                f"a beam_size of {self.beam_size} needs a vocabulary of twice as many tokens, got {logits.shape[-1]}"
            )
        empty = logits.new_zeros(n_image, 1, 0, dtype=torch.float32)
        live = _Captions(empty.long(), empty, empty.sum(dim=-1))
        ended = _Captions(
            empty.long().expand(-1, self.num_captions, -1),
            empty.expand(-1, self.num_captions, -1),
            logits.new_full(
                (n_image, self.num_captions), float("-inf"), dtype=torch.float32
            ),
        )
        for length in range(1, max_length + 1):
            grown, parents = self._grow(live, logits, ids)
            live, ended, kept = self._part(grown, ended.pad(length, ids.pad), ids.end)
            best_to_come = live.scores[:, 0] / self._penalty(max_length)
            if length == max_length or (ended.scores[:, -1] >= best_to_come).all():
                break
            parents = parents.gather(1, kept).flatten()
            logits = next_token(live.tokens[:, :, -1].flatten(), parents)
        cut_off = live._replace(scores=live.scores / self._penalty(length))
        return self._result(ended, cut_off, ids.pad)

    def _grow(
        self, live: _Captions, logits: Tensor, ids: TokenIds
    ) -> Tuple[_Captions, Tensor]:
        """The likeliest continuations, twice as many as beams, and the rows of ``logits`` that they come from."""
        b, width, _ = live.tokens.shape
        log_probs = allowed_log_probs(
            logits, live.tokens.flatten(0, 1), ids, self.no_repeat_ngram
        ).view(b, width, -1)
        vocab_size = log_probs.shape[-1]
        sums = (live.scores.unsqueeze(-1) + log_probs).flatten(1)
        # an image's beams end in at most as many of them, so enough are left that go on
        scores, index = sums.topk(2 * self.beam_size, dim=1)
        beam, token = index // vocab_size, index % vocab_size
        gained = log_probs.flatten(1).gather(1, index)
        before = live.take(beam)
        grown = _Captions(
            torch.cat([before.tokens, token.unsqueeze(-1)], dim=-1),
            torch.cat([before.log_probs, gained.unsqueeze(-1)], dim=-1),
            scores,
        )
        first = torch.arange(b, device=beam.device).unsqueeze(1) * width
        return grown, first + beam

    def _part(
        self, grown: _Captions, ended: _Captions, end_id: int
    ) -> Tuple[_Captions, _Captions, Tensor]:
        """The beams that go on, the best that ended, and which of ``grown`` go on."""
        ends = grown.tokens[:, :, -1] == end_id
        going_on = grown.scores.masked_fill(ends, float("-inf"))
        scores, kept = going_on.topk(self.beam_size, dim=1)
        live = grown.take(kept)._replace(scores=scores)

        # only the beams' own places count, so that one beam does what greedy search does
        new = _Captions(*(part[:, : self.beam_size] for part in grown))
        new_scores = (new.scores / self._penalty(new.tokens.shape[-1])).masked_fill(
            ~ends[:, : self.beam_size], float("-inf")
        )
        pool = ended.join(new._replace(scores=new_scores))
        best = pool.scores.topk(self.num_captions, dim=1).indices
        return live, pool.take(best), kept

    def _result(self, ended: _Captions, cut_off: _Captions, pad_id: int) -> Generated:
        """What ended, then what was cut off."""
        slot = torch.arange(self.num_captions, device=ended.scores.device)
        count = ended.scores.isfinite().sum(dim=1, keepdim=True)
        index = torch.where(slot < count, slot, self.num_captions + slot - count)
        best = ended.join(cut_off).take(index)
        # every caption has its end at or before the end of the longest
        length = int((best.tokens != pad_id).flatten(0, 1).any(dim=0).sum())
        return Generated(
            best.tokens[..., :length], best.log_probs[..., :length], best.scores
        )

    def _penalty(self, length: int) -> float:
        return length**self.length_penalty
