# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional

from torch import nn, Tensor
from torchmultimodal_reid.modules.losses.masked_prediction import (
    MaskedClassificationLoss,
)
from torchmultimodal_reid.modules.losses.summed_cross_entropy import at_least_float


class CaptioningLossOutput(NamedTuple):
    total: Tensor  # scalar, the sum of the directions
    forward: Tensor  # scalar, cross-entropy a token; its exponential is the perplexity
    backward: Optional[Tensor]  # scalar; None without that direction


class CaptioningLoss(nn.Module):
    """The sum of both directions' cross-entropies, each the mean over its tokens.

    Reference: https://arxiv.org/abs/2006.06666. Padding has no logits, so it counts nowhere; where all is padding the
    loss is 0 with a gradient path.

    Inputs:
        forward_logits (Tensor): Logits of shape ``(m, vocab_size)``.
        forward_target (Tensor): The tokens there, long, of shape ``(m,)``.
        backward_logits (Optional[Tensor]): Of the other direction. Default: None, left out
        backward_target (Optional[Tensor]): Of the other direction. Default: None, left out

    Returns:
        CaptioningLossOutput: Scalars, float32 or better.

    Raises:
        ValueError: If the shapes do not fit, or one of the backward pair is missing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cross_entropy = MaskedClassificationLoss()

    def forward(
        self,
        forward_logits: Tensor,
        forward_target: Tensor,
        backward_logits: Optional[Tensor] = None,
        backward_target: Optional[Tensor] = None,
    ) -> CaptioningLossOutput:
        if (backward_logits is None) != (backward_target is None):
            raise ValueError(
                "the backward direction needs backward_logits and backward_target, got one of them"
            )
        forward = self.cross_entropy(forward_logits, forward_target)
        if backward_logits is None or backward_target is None:
            return CaptioningLossOutput(forward, forward, None)
        backward = self.cross_entropy(backward_logits, backward_target)
        return CaptioningLossOutput(forward + backward, forward, backward)


class TokenClassificationLoss(nn.Module):
    """Cross-entropy between the logits of an image and the set of words in its caption, each word as likely.

    VirTex's token classification (https://arxiv.org/abs/2006.06666). An image without words is left out; where all
    are, the loss is 0 with a gradient path.

    Inputs:
        logits (Tensor): Of shape ``(b, vocab_size)``.
        words (Tensor): Bool of shape ``(b, vocab_size)``, True where the caption has the word; see
            :func:`words_of`.

    Returns:
        Tensor: Scalar, float32 or better, the mean over the images with words.

    Raises:
        ValueError: If the two shapes differ.
    """

    def forward(self, logits: Tensor, words: Tensor) -> Tensor:
        if logits.shape != words.shape:
            raise ValueError(
                f"logits and words must have the same shape, got {tuple(logits.shape)} and {tuple(words.shape)}"
            )
        log_probs = at_least_float(logits).log_softmax(dim=-1)
        count = words.sum(dim=-1)
        loss = -(log_probs * words).sum(dim=-1) / count.clamp(min=1)
        return loss.sum() / (count > 0).sum().clamp(min=1)


def words_of(
    text: Tensor, text_padding: Optional[Tensor], vocab_size: int, special_ids: Tensor
) -> Tensor:
    """Which words a caption has.

    Args:
        text (Tensor): Token ids, long, of shape ``(b, s)``.
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding. None for no padding.
        vocab_size (int): Ids of the tokeniser.
        special_ids (Tensor): Long of shape ``(n,)``, ids that are no words.

    Returns:
        Tensor: Bool of shape ``(b, vocab_size)``.
    """
    words = text.new_zeros(len(text), vocab_size)
    there = (
        text.new_ones(text.shape) if text_padding is None else (~text_padding).long()
    )
    words.scatter_add_(1, text, there)
    words[:, special_ids] = 0
    return words > 0
