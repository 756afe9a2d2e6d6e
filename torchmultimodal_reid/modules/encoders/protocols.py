# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional, Protocol, Tuple

from torch import Tensor
from torchmultimodal_reid.modules.masking.selection import TokenSelection


class EncoderOutput(NamedTuple):
    """What every encoder returns, in training and in evaluation alike.

    ``hidden`` is what goes on to the multimodal encoder. FLAVA hands the states over before the final norm;
    an encoder without such a norm returns the same tensor twice.
    """

    tokens: Tensor  # shape: (b, 1 + n, d), after the final norm, the [CLS] token first
    hidden: Tensor  # shape: (b, 1 + n, d), before the final norm

    @property
    def cls(self) -> Tensor:
        """The [CLS] token after the final norm, of shape ``(b, d)``."""
        return self.tokens[:, 0]


class ImageEncoder(Protocol):
    """What MMET (https://arxiv.org/abs/2304.09498) asks of an image encoder.

    Attributes:
        grid (Tuple[int, int]): Rows and columns of patch tokens, in row-major order after the [CLS] token.
    """

    grid: Tuple[int, int]

    def __call__(
        self, image: Tensor, masked_patches: Optional[Tensor] = None
    ) -> EncoderOutput:
        """``image`` is ``(b, 3, h, w)``; ``masked_patches`` is bool ``(b, rows * columns)``, True where the encoder
        must not see the patch."""
        ...


class DroppingImageEncoder(ImageEncoder, Protocol):
    """What a masked stream that drops tokens asks of an image encoder."""

    def __call__(
        self,
        image: Tensor,
        masked_patches: Optional[Tensor] = None,
        visible: Optional[TokenSelection] = None,
    ) -> EncoderOutput:
        """``visible`` names the tokens, [CLS] being token 0, that the output consists of; others are not seen."""
        ...


class TextEncoder(Protocol):
    """What MMET (https://arxiv.org/abs/2304.09498) asks of a text encoder."""

    def __call__(
        self, text: Tensor, text_padding: Optional[Tensor] = None
    ) -> EncoderOutput:
        """``text`` is ``(b, s)`` token ids that begin with [CLS]; ``text_padding`` is bool ``(b, s)``, True at
        padding. The output has the same ``s`` tokens."""
        ...


class DroppingTextEncoder(TextEncoder, Protocol):
    """What a masked stream that drops tokens asks of a text encoder."""

    def __call__(
        self,
        text: Tensor,
        text_padding: Optional[Tensor] = None,
        visible: Optional[TokenSelection] = None,
    ) -> EncoderOutput:
        """``visible`` names the tokens, [CLS] being token 0, that the output consists of; others are not seen."""
        ...


class MultimodalEncoder(Protocol):
    """What MMET (https://arxiv.org/abs/2304.09498) asks of a multimodal encoder."""

    def __call__(self, tokens: Tensor, padding: Optional[Tensor] = None) -> Tensor:
        """``tokens`` is ``(b, n, d)``, ``padding`` bool ``(b, n)``, True at padding. Returns ``(b, 1 + n, d)`` after
        the final norm, with the encoder's own [CLS_M] first."""
        ...
