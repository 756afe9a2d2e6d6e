# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional, Sequence

import torch
from torch import nn, Tensor
from torchmultimodal_reid.modules.masking.draws import (
    draw_ratio,
    Draws,
    Ratio,
    ratio_range,
    uniform,
    uniform_integers,
)


class TokenMaskingOutput(NamedTuple):
    masked_tokens: Tensor  # bool (b, s), True = to be predicted
    masked_text: Tensor  # long (b, s), what the model reads


class TokenMasking(nn.Module):
    """Chooses tokens to predict and replaces most of them: 80 % by [MASK], 10 % by a random token, 10 % not at all.

    In each caption ``round(ratio * words)`` words are chosen, at least one unless the ratio is 0 or the caption has no
    word. With ``continuation`` given, a word is a token and the continuation pieces that follow it, and all its tokens
    are chosen together; each is then replaced on its own. Without it, every token is a word.

    Reference: https://arxiv.org/abs/1810.04805.

    Args:
        vocab_size (int): Number of token ids.
        mask_id (int): Id of [MASK].
        special_ids (Sequence[int]): Ids that are never chosen and never drawn as a replacement, such as padding, [CLS],
            [SEP] and [UNK]. ``mask_id`` is one of them whether listed or not.
        continuation (Optional[Tensor]): Bool of shape ``(vocab_size,)``, True for ids that continue a word.
            Default: None
        ratio (Union[float, Sequence[float]]): Share of the words to choose, or the range that one ratio is drawn from
            at each call. Default: 0.15
        mask_share (float): Share of the chosen tokens that become [MASK]. Default: 0.8
        random_share (float): Share of the chosen tokens that become a random token. Default: 0.1

    Inputs:
        text (Tensor): Token ids, long, of shape ``(b, s)``, padded with one of ``special_ids``.
        generator (Optional[Draws]): Source of the draws, on any device. Default: None, torch's global one

    Raises:
        ValueError: If an id is not in the vocabulary, no id but special ones is left, ``continuation`` has another
            shape or type, a share or the ratio is out of range, or ``text`` is not ``(b, s)`` and long.
    """

    # tables that follow from the arguments, so that no checkpoint needs them
    is_special: Tensor
    ordinary_ids: Tensor
    continuation: Optional[Tensor]

    def __init__(
        self,
        vocab_size: int,
        mask_id: int,
        special_ids: Sequence[int],
        continuation: Optional[Tensor] = None,
        ratio: Ratio = 0.15,
        mask_share: float = 0.8,
        random_share: float = 0.1,
    ) -> None:
        super().__init__()
        self.ratio = ratio_range(ratio)
        if min(mask_share, random_share) < 0 or mask_share + random_share > 1:
            raise ValueError(
                f"mask_share and random_share must be >= 0 and sum to at most 1, got {mask_share} and {random_share}"
            )
        self.mask_id = mask_id
        self.mask_share = mask_share
        self.random_share = random_share
        self.register_buffer(
            "is_special",
            _special_table(vocab_size, [mask_id, *special_ids]),
            persistent=False,
        )
        self.register_buffer(
            "ordinary_ids", torch.nonzero(~self.is_special).flatten(), persistent=False
        )
        if self.ordinary_ids.numel() == 0:
            raise ValueError(
                f"all {vocab_size} ids of the vocabulary are special, so no token can be masked"
            )
        if continuation is not None and (
            continuation.shape != (vocab_size,) or continuation.dtype != torch.bool
        ):
            raise ValueError(
                f"continuation must be bool of shape ({vocab_size},), one per id of the vocabulary, "
                f"got {continuation.dtype} of shape {tuple(continuation.shape)}"
            )
        self.register_buffer("continuation", continuation, persistent=False)

    def forward(
        self, text: Tensor, *, generator: Optional[Draws] = None
    ) -> TokenMaskingOutput:
        if text.dim() != 2 or text.dtype != torch.long:
            raise ValueError(
                f"text must be long of shape (b, s), got {text.dtype} of shape {tuple(text.shape)}"
            )
        masked_tokens = self._choose(text, draw_ratio(self.ratio, generator), generator)
        fate = uniform(text.shape, generator, text.device)
        chance = uniform_integers(
            self.ordinary_ids.numel(), text.shape, generator, text.device
        )
        becomes_mask = masked_tokens & (fate < self.mask_share)
        becomes_random = (
            masked_tokens & ~becomes_mask & (fate < self.mask_share + self.random_share)
        )
        masked_text = torch.where(becomes_random, self.ordinary_ids[chance], text)
        return TokenMaskingOutput(
            masked_tokens, masked_text.masked_fill(becomes_mask, self.mask_id)
        )

    def _choose(self, text: Tensor, ratio: float, generator: Optional[Draws]) -> Tensor:
        can_mask = ~self.is_special[text]
        starts = can_mask
        if self.continuation is not None:
            follows = torch.zeros_like(can_mask)
            follows[:, 1:] = can_mask[:, :-1]
            # a piece with nothing to continue is a word of its own
            starts = can_mask & ~(self.continuation[text] & follows)
        num_words = starts.sum(dim=1, keepdim=True)
        count = torch.round(num_words * ratio)
        if ratio > 0:
            count = count.clamp(min=1)
        noise = uniform(text.shape, generator, text.device).masked_fill(~starts, 2.0)
        rank = noise.argsort(dim=1, stable=True).argsort(dim=1)
        chosen_starts = starts & (rank < count)
        # every token looks at the start of its word
        position = torch.arange(text.shape[1], device=text.device).expand_as(text)
        start = (
            torch.where(starts, position, torch.zeros_like(position))
            .cummax(dim=1)
            .values
        )
        return can_mask & chosen_starts.gather(1, start)

    def extra_repr(self) -> str:
        return (
            f"ratio={self.ratio}, whole_words={self.continuation is not None}, "
            f"mask_share={self.mask_share}, random_share={self.random_share}"
        )


def _special_table(vocab_size: int, special_ids: Sequence[int]) -> Tensor:
    outside = [i for i in special_ids if not 0 <= i < vocab_size]
    if outside:
        raise ValueError(
            f"mask_id and special_ids must be in [0, {vocab_size}), got {outside}"
        )
    table = torch.zeros(vocab_size, dtype=torch.bool)
    table[torch.tensor(special_ids, dtype=torch.long)] = True
    return table
