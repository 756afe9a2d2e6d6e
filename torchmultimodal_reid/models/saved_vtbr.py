# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Captioners that travel with what is needed to use them: builder, arguments, tokeniser, normalisation."""

from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Union

from torch import nn
from torchmultimodal_reid.architectures.captioner import BidirectionalCaptioner
from torchmultimodal_reid.generation.image_captioner import ImageCaptioner
from torchmultimodal_reid.models.saved import ModelDescription, read_tokenizer
from torchmultimodal_reid.models.vtbr import vtbr
from torchmultimodal_reid.models.vtbr_ablations import (
    Ablation,
    ABLATIONS,
    vtbr_masked_lm,
    vtbr_token_classification,
)
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.checkpoint import Checkpoint, read_checkpoint
from torchmultimodal_reid.utils.errors import CheckpointError
from torchmultimodal_reid.utils.state_dict import load_state_dict

VTBR_BUILDERS: Dict[str, Callable[..., nn.Module]] = {
    builder.__name__: builder
    for builder in (vtbr, vtbr_masked_lm, vtbr_token_classification)
}
# every model that has a name: a builder, and its sizes
VTBR_MODELS: Dict[str, Ablation] = {
    "vtbr_r18": Ablation(
        vtbr,
        {
            "backbone": "resnet18",
            "d_model": 256,
            "n_layer": 1,
            "n_head": 4,
            "dim_feedforward": 1024,
        },
    ),
    "vtbr_r50": ABLATIONS["bicaptioning_r50_l1_h1024"],
    **ABLATIONS,
}


class LoadedVTBR(NamedTuple):
    """A pretrained model, and what its inputs have to go through."""

    model: nn.Module
    tokenizer: WordPieceTokenizer
    description: ModelDescription


def build_vtbr(description: ModelDescription) -> nn.Module:
    """The model that ``description`` names, with random weights.

    Raises:
        ValueError: If the builder is unknown, or an argument is not valid.
    """
    if description.builder not in VTBR_BUILDERS:
        raise ValueError(
            f"unknown model {description.builder!r}, expected one of {', '.join(VTBR_BUILDERS)}"
        )
    return VTBR_BUILDERS[description.builder](**description.arguments)


def load_vtbr(path: Union[str, Path]) -> LoadedVTBR:
    """A model from a checkpoint of ``examples/vtbr/pretrain.py``, in evaluation mode, with its tokeniser.

    Args:
        path (Union[str, Path]): The checkpoint's directory.

    Raises:
        CheckpointError: If the checkpoint is not whole, or holds another model.
    """
    checkpoint = read_checkpoint(path, groups=["model"])
    description = read_vtbr_description(checkpoint)
    model = build_vtbr(description)
    load_state_dict(model, checkpoint.tensors["model"], source=str(path))
    return LoadedVTBR(
        model.eval(), read_tokenizer(checkpoint, description), description
    )


def load_captioner(path: Union[str, Path], batch_size: int = 32) -> ImageCaptioner:
    """What writes captions: ``load_captioner("runs/pretrain/best").caption(["a.jpg", "b.jpg"])``.

    Args:
        path (Union[str, Path]): The checkpoint's directory.
        batch_size (int): Images at once. Default: 32

    Raises:
        CheckpointError: If the checkpoint is not whole, or its model writes no captions.
    """
    loaded = load_vtbr(path)
    if not isinstance(loaded.model, BidirectionalCaptioner):
        raise CheckpointError(
            f"{path} holds a model of {loaded.description.builder}, which writes no captions; expected one that was "
            "pretrained by captioning"
        )
    return make_captioner(
        loaded.model, loaded.tokenizer, loaded.description, batch_size
    )


def make_captioner(
    model: BidirectionalCaptioner,
    tokenizer: WordPieceTokenizer,
    description: ModelDescription,
    batch_size: int = 32,
) -> ImageCaptioner:
    """What writes captions, of a model that is there already."""
    return ImageCaptioner(
        model,
        tokenizer,
        image_size=description.image_size,
        max_text_length=description.max_text_length,
        mean=description.mean,
        std=description.std,
        batch_size=batch_size,
    )


def read_vtbr_description(checkpoint: Checkpoint) -> ModelDescription:
    """What ``checkpoint`` says of its model.

    Raises:
        CheckpointError: If it is no captioner.
    """
    said: Any = checkpoint.metadata.get("model")
    builder = said.get("builder") if isinstance(said, dict) else None
    if builder not in VTBR_BUILDERS:
        raise CheckpointError(
            f"{checkpoint.path} describes no VTBR (its model is {builder or 'unknown'}); expected a checkpoint of "
            "examples/vtbr/pretrain.py"
        )
    try:
        description = ModelDescription(**said)
        return description._replace(
            mean=tuple(description.mean), std=tuple(description.std)
        )
    except TypeError as error:
        raise CheckpointError(
            f"{checkpoint.path} does not describe its {builder} as this release does: {error}"
        ) from error
