# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""How a pretrained MMET searches, before it has learned any identity."""

from typing import Optional

from examples.common.retrieval import Embed
from torch import Tensor
from torchmultimodal_reid.architectures.mmet import MMET


def contrastive_embed(mmet: MMET) -> Embed:
    """Embeds an image or a caption into the space of the contrastive loss, as a pretrained model can already."""

    def embed(
        image: Optional[Tensor], text: Optional[Tensor], padding: Optional[Tensor]
    ) -> Tensor:
        if image is not None:
            return mmet.image_projection(mmet.encode_image(image).cls)
        assert text is not None
        return mmet.text_projection(mmet.encode_text(text, padding).cls)

    return embed
