# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Baselines that travel with what is needed to use them: backbone, pooling, identities, image size, normalisation."""

from pathlib import Path
from typing import NamedTuple, Tuple, Union

from torchmultimodal_reid.architectures.reid import ReIDModel
from torchmultimodal_reid.models.reid_baseline import reid_baseline
from torchmultimodal_reid.utils.checkpoint import Checkpoint, read_checkpoint
from torchmultimodal_reid.utils.errors import CheckpointError
from torchmultimodal_reid.utils.state_dict import load_state_dict

# what a run needs to go on, and the model does not
TRAINING_ONLY = ("center_loss.*",)


class ReIDDescription(NamedTuple):
    """What a checkpoint says of its model; all of it is plain JSON."""

    backbone: str  # a name in BACKBONES
    pooling: str  # a name in POOLINGS
    last_stride: int
    num_identities: int  # that it was trained on
    image_size: Tuple[int, int]  # height and width in pixels
    mean: Tuple[float, ...]  # per channel, of pixels in 0..1
    std: Tuple[float, ...]
    builder: str = "reid_baseline"


class LoadedReID(NamedTuple):
    """A model to search with, and what its images have to go through."""

    model: ReIDModel
    description: ReIDDescription


def build_reid(description: ReIDDescription) -> ReIDModel:
    """The model that ``description`` names, with random weights."""
    return reid_baseline(
        num_identities=description.num_identities,
        backbone=description.backbone,
        pooling=description.pooling,
        last_stride=description.last_stride,
    )


def load_reid(path: Union[str, Path]) -> LoadedReID:
    """A fine-tuned baseline from its checkpoint, in evaluation mode.

    Args:
        path (Union[str, Path]): The checkpoint's directory.

    Returns:
        LoadedReID: ``model.embed(image)`` is ready to use.

    Raises:
        CheckpointError: If the checkpoint is not whole, or holds another model.
    """
    checkpoint = read_checkpoint(path, groups=["model"])
    description = read_reid_description(checkpoint)
    model = build_reid(description)
    load_state_dict(
        model, checkpoint.tensors["model"], ignored=TRAINING_ONLY, source=str(path)
    )
    return LoadedReID(model.eval(), description)


def read_reid_description(checkpoint: Checkpoint) -> ReIDDescription:
    """What ``checkpoint`` says of its model."""
    said = checkpoint.metadata.get("model")
    try:
        description = ReIDDescription(**said)  # type: ignore[arg-type]
    except TypeError as error:
        builder = said.get("builder") if isinstance(said, dict) else None
        raise CheckpointError(
            f"{checkpoint.path} describes no re-identification baseline (its model is {builder or 'unknown'}); "
            "expected a checkpoint of examples/vtbr/finetune.py"
        ) from error
    height, width = description.image_size
    return description._replace(
        image_size=(height, width),
        mean=tuple(description.mean),
        std=tuple(description.std),
    )
