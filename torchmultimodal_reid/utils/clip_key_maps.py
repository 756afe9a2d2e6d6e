# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Names of CLIP's published weights (https://arxiv.org/abs/2103.00020) -> TorchMultimodal's -> ours."""

import re
from typing import Dict

from torch import Tensor

# what belongs to CLIP's contrast, and what its files tell of their sizes
CLIP_IGNORED = (
    "logit_scale",
    "input_resolution",
    "context_length",
    "vocab_size",
    "attn_mask",
)

_OPENAI_NAMES = (
    (r"^visual\.class_embedding$", "encoder_a.cls_token_embedding"),
    (r"^visual\.positional_embedding$", "encoder_a.positional_embedding"),
    (r"^visual\.proj$", "encoder_a.projection"),
    (r"^visual\.conv1\.", "encoder_a.conv."),
    (r"^visual\.(ln_pre|ln_post)\.", r"encoder_a.\1."),
    (r"^visual\.transformer\.resblocks\.", "encoder_a.encoder.layers."),
    (r"^token_embedding\.", "encoder_b.token_embedding."),
    (r"^positional_embedding$", "encoder_b.positional_embedding"),
    (r"^ln_final\.", "encoder_b.ln_final."),
    (r"^transformer\.resblocks\.", "encoder_b.encoder.layers."),
    (r"^(encoder_[ab]\.encoder\.layers\.\d+)\.attn\.", r"\1.self_attn."),
    (r"^(encoder_[ab]\.encoder\.layers\.\d+)\.ln_([12])\.", r"\1.norm\2."),
    (r"^(encoder_[ab]\.encoder\.layers\.\d+)\.mlp\.c_fc\.", r"\1.linear1."),
    (r"^(encoder_[ab]\.encoder\.layers\.\d+)\.mlp\.c_proj\.", r"\1.linear2."),
)


def openai_to_clip(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """OpenAI's and open_clip's CLIP with a vision transformer -> TorchMultimodal's ``CLIP`` of the same sizes.

    | OpenAI, open_clip | TorchMultimodal |
    |---|---|
    | ``visual.class_embedding`` | ``encoder_a.cls_token_embedding`` |
    | ``visual.{positional_embedding,ln_pre,ln_post}*`` | ``encoder_a.*`` |
    | ``visual.{conv1,proj}*`` | ``encoder_a.{conv,projection}*`` |
    | ``{token_embedding,positional_embedding,ln_final}*`` | ``encoder_b.*`` |
    | ``text_projection`` | ``encoder_b.projection.weight``, transposed |
    | ``[visual.]transformer.resblocks.N.*`` | ``encoder_{a,b}.encoder.layers.N.*`` |
    | ``attn``, ``ln_1``, ``ln_2`` of a block | ``self_attn``, ``norm1``, ``norm2`` |
    | ``mlp.{c_fc,c_proj}`` of a block | ``linear1``, ``linear2`` |

    Args:
        state (Dict[str, Tensor]): The state dict of OpenAI's model, or of open_clip's class ``CLIP``, also behind
            ``module.``. TorchMultimodal's own names stay.

    Returns:
        Dict[str, Tensor]: The same weights under TorchMultimodal's names; unknown names are kept, for loading to
        report them.
    """
    mapped = {}
    for name, tensor in state.items():
        name = name[len("module.") :] if name.startswith("module.") else name
        if name == "text_projection":
            name, tensor = "encoder_b.projection.weight", tensor.T
        for pattern, replacement in _OPENAI_NAMES:
            name = re.sub(pattern, replacement, name)
        mapped[name] = tensor
    return mapped


def clip_to_mmet(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """TorchMultimodal's ``CLIP`` -> :func:`~torchmultimodal_reid.models.clip.mmet_clip` of the same sizes.

    CLIP's projections become MMET's, for both map the token of the whole into the space of the contrast.

    Args:
        state (Dict[str, Tensor]): The state dict of TorchMultimodal's ``CLIP``.

    Returns:
        Dict[str, Tensor]: The same weights under MMET's names; unknown names are kept.
    """
    mapped = {}
    for name, tensor in state.items():
        if name == "encoder_a.projection":
            name, tensor = "image_projection.weight", tensor.T
        name = name.replace("encoder_b.projection.", "text_projection.")
        name = re.sub(r"^encoder_a\.", "image_encoder.clip.", name)
        mapped[re.sub(r"^encoder_b\.", "text_encoder.clip.", name)] = tensor
    return mapped
