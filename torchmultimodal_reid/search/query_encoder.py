# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional, Protocol

from torch import Tensor


class QueryEncoder(Protocol):
    """A model that puts images and captions into one space."""

    @property
    def fingerprint(self) -> str:
        """Differs between models whose embeddings must not be mixed, such as the hash of the weights."""
        ...

    def encode(self, image: Optional[Tensor], text: Optional[str]) -> Tensor:
        """The embedding ``(dim,)`` of an image ``(3, h, w)``, uint8, of a caption, or of both together."""
        ...


def check_fingerprint(built: str, given: str, what: str) -> None:
    """Raises a ValueError unless an index was built with the model that is given."""
    if built != given:
        raise ValueError(
            f"{what} was built with another model (fingerprint {built[:12]}, this one's is {given[:12]}), so its "
            "vectors and these queries have nothing to do with each other; build it again with this model"
        )
