# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional

import torch
from torch import Tensor
from torchmultimodal_reid.architectures.captioner import BidirectionalCaptioner


class CachedSteps:
    """A captioner in the middle of writing, which computes nothing again for earlier tokens.

    It is a :class:`~torchmultimodal_reid.generation.protocols.NextToken`: the image goes through the CNN once, its
    cells become keys and values once for all beams, and each call computes one token a row.

    Args:
        model (BidirectionalCaptioner): In evaluation mode.
        image (Tensor): Normalised images of shape ``(b, 3, h, w)``.
        backward (bool): Write from right to left. Default: False

    Raises:
        ValueError: If the model has no such direction.
    """

    @torch.no_grad()
    def __init__(
        self, model: BidirectionalCaptioner, image: Tensor, backward: bool = False
    ) -> None:
        self._model = model
        self._device = image.device
        self._cache = model.start(image, backward)

    @torch.no_grad()
    def __call__(self, tokens: Tensor, parents: Optional[Tensor]) -> Tensor:
        """See :class:`~torchmultimodal_reid.generation.protocols.NextToken`."""
        if parents is not None:
            self._cache = self._cache.select(parents)
        logits, self._cache = self._model.step(tokens.to(self._device), self._cache)
        return logits
