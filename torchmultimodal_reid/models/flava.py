# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""MMET from FLAVA's published weights (https://arxiv.org/abs/2112.04482)."""

from typing import Optional, Tuple

from torch import hub, nn
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.models.mmet import mmet
from torchmultimodal_reid.utils.key_maps import (
    fit_positions,
    FLAVA_IGNORED,
    flava_to_mmet,
)
from torchmultimodal_reid.utils.state_dict import load_state_dict, LoadReport

FLAVA_URL = "https://download.pytorch.org/models/multimodal/flava/flava_model_unified_text_encoder.pt"


def mmet_flava_base(
    *,
    image_size: Tuple[int, int] = (224, 224),
    patch_size: int = 16,
    vocab_size: int = 30522,
    max_text_length: int = 512,
    drop_path: Optional[float] = None,
    masking: Optional[nn.Module] = None,
    pretrained: bool = False,
    interpolate_positions: bool = False,
) -> MMET:
    """An MMET of FLAVA-base's sizes, with FLAVA's weights if asked for.

    Args:
        image_size (Tuple[int, int]): Height and width in pixels. Default: (224, 224), FLAVA's.
        patch_size (int): Side of a patch in pixels; the weights are for 16. Default: 16.
        vocab_size (int): Ids of the tokeniser; the weights are for BERT's 30522. Default: 30522.
        max_text_length (int): The longest caption in tokens, at most 512 with the weights. Default: 512.
        drop_path (Optional[float]): See :func:`~torchmultimodal_reid.models.mmet.mmet`. Default: None.
        masking (Optional[nn.Module]): See :func:`~torchmultimodal_reid.models.mmet.mmet`. Default: None.
        pretrained (bool): Download FLAVA's weights and load them strictly. Default: False.
        interpolate_positions (bool): Interpolate the weights' position embeddings for images of another size than
            FLAVA's, which is refused otherwise. Default: False.

    Raises:
        CheckpointError: If the weights do not fit the arguments.
    """
    model = mmet(
        image_size=image_size,
        patch_size=patch_size,
        vocab_size=vocab_size,
        max_text_length=max_text_length,
        drop_path=drop_path,
        masking=masking,
    )
    if pretrained:
        state = hub.load_state_dict_from_url(
            FLAVA_URL, map_location="cpu", weights_only=True
        )
        load_flava(model, state, interpolate_positions=interpolate_positions)
    return model


def load_flava(
    model: MMET, state: dict, *, interpolate_positions: bool = False
) -> LoadReport:
    """Loads the state dict of TorchMultimodal's ``flava_model`` into an MMET of the same widths and depths.

    Only positions may differ in number: those of patches are interpolated if asked for, those of words past the
    model's longest caption are left out.

    Args:
        model (MMET): Is filled in place.
        state (dict): Of ``FLAVAModel``.
        interpolate_positions (bool): Whether to interpolate the positions of another grid of patches. Default: False

    Raises:
        CheckpointError: If anything is missing, unexpected or of another shape.
    """
    state = dict(state)
    image, text = (
        "image_encoder.embeddings.position_embeddings",
        "text_encoder.embeddings.position_embeddings.weight",
    )
    if image in state:
        state[image] = fit_positions(
            state[image], model.grid, interpolate_positions, "FLAVA"
        )
    if text in state:
        state[text] = state[text][: model.text_encoder.max_length]
    return load_state_dict(
        model,
        state,
        key_map=flava_to_mmet,
        ignored=FLAVA_IGNORED,
        source="FLAVA's weights",
    )
