# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from torch import Tensor
from torchmultimodal_reid.generation.protocols import TokenIds
from torchmultimodal_reid.modules.losses.summed_cross_entropy import at_least_float


def allowed_log_probs(
    logits: Tensor, tokens: Tensor, ids: TokenIds, no_repeat_ngram: int
) -> Tensor:
    """The model's log-probabilities, minus infinity where a token is not allowed; nothing else is changed.

    Args:
        logits (Tensor): Of shape ``(rows, vocab_size)``.
        tokens (Tensor): The captions so far, long, of shape ``(rows, t)``.
        ids (TokenIds): Start, pad and the forbidden ids are not allowed.
        no_repeat_ngram (int): No so many tokens in a row come twice in a caption. 0 allows it.

    Returns:
        Tensor: Of shape ``(rows, vocab_size)``, float32 or better. The end is always allowed.
    """
    log_probs = at_least_float(logits).log_softmax(dim=-1)
    banned = [i for i in (ids.start, ids.pad, *ids.forbidden) if i != ids.end]
    log_probs[:, banned] = float("-inf")
    if 0 < no_repeat_ngram <= tokens.shape[1]:
        windows = tokens.unfold(1, no_repeat_ngram, 1)  # shape: (rows, windows, n)
        last = tokens[:, tokens.shape[1] - no_repeat_ngram + 1 :].unsqueeze(1)
        repeats = (windows[..., :-1] == last).all(dim=-1)
        row, window = repeats.nonzero(as_tuple=True)
        log_probs[row, windows[row, window, -1]] = float("-inf")
    return log_probs


def check_no_repeat(no_repeat_ngram: int) -> None:
    """Raises a ValueError if the option is negative."""
    if no_repeat_ngram < 0:
        raise ValueError(
            f"no_repeat_ngram must be at least 0 (off), got {no_repeat_ngram}"
        )


def check_max_length(max_length: int) -> None:
    """Raises a ValueError unless a caption may have a token."""
    if max_length < 1:
        raise ValueError(f"max_length must be at least 1, got {max_length}")
