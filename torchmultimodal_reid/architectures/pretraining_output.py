# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional

from torch import nn, Tensor


class MaskedPrediction(NamedTuple):
    """A head's predictions at the masked positions, and what was there."""

    prediction: Tensor  # shape: (m, c)
    target: Tensor  # shape: (m, c) for pixels, (m,) for words and codes


class MatchPrediction(NamedTuple):
    """Whether a caption belongs to an image, as the model says and as it is."""

    logits: Tensor  # shape: (m, 2)
    is_match: Tensor  # shape: (m,), bool


class MMETPretrainingOutput(NamedTuple):
    """What the pretraining losses read; None where the batch lacks a modality or the head was left out."""

    mim: Optional[MaskedPrediction]
    mlm: Optional[MaskedPrediction]
    mmm_image: Optional[MaskedPrediction]
    mmm_text: Optional[MaskedPrediction]
    itm: Optional[MatchPrediction]
    image_embedding: Optional[Tensor]  # shape: (b, d), L2-normalised
    text_embedding: Optional[Tensor]  # shape: (b, d), L2-normalised
    logit_scale: Tensor  # scalar, already exponentiated


def predict_masked(
    head: Optional[nn.Module],
    tokens: Optional[Tensor],
    target: Optional[Tensor],
    masked: Optional[Tensor],
) -> Optional[MaskedPrediction]:
    """Runs ``head`` on the tokens at the masked positions.

    Args:
        head (Optional[nn.Module]): Tokens ``(m, d)`` to predictions ``(m, c)``.
        tokens (Optional[Tensor]): Tokens at the masked positions, sample by sample, of shape ``(m, d)``.
        target (Optional[Tensor]): What stands at each position, ``(b, n)`` or ``(b, n, c)``.
        masked (Optional[Tensor]): Bool of shape ``(b, n)``, True at the ``m`` masked positions.

    Returns:
        Optional[MaskedPrediction]: None if any of the four is missing.

    Raises:
        ValueError: If there are not as many targets as positions.
    """
    if head is None or tokens is None or target is None or masked is None:
        return None
    if target.shape[1] != masked.shape[1]:
        raise ValueError(
            f"got {target.shape[1]} targets in a sample for its {masked.shape[1]} tokens, expected one a token; "
            "is the targets' patch_size the image encoder's?"
        )
    return MaskedPrediction(head(tokens), target[masked])
