# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Models that travel with what is needed to use them: builder, arguments, tokeniser, transforms."""

import tempfile
from inspect import signature
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple, Union

from torch import nn
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.architectures.mmet_reid import MMETForReID
from torchmultimodal_reid.models.flava import mmet_flava_base
from torchmultimodal_reid.models.mmet import (
    mmet,
    mmet_base,
    mmet_for_reid,
    mmet_small,
    mmet_tiny,
)
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.checkpoint import Checkpoint, read_checkpoint
from torchmultimodal_reid.utils.errors import CheckpointError
from torchmultimodal_reid.utils.state_dict import load_state_dict

TOKENIZER_FILE = "tokenizer.json"
MMET_BUILDERS: Dict[str, Callable[..., MMET]] = {
    builder.__name__: builder
    for builder in (mmet, mmet_tiny, mmet_small, mmet_base, mmet_flava_base)
}


class ModelDescription(NamedTuple):
    """What a checkpoint says of its model; all of it is plain JSON."""

    builder: str  # a name in MMET_BUILDERS
    arguments: Dict[str, Any]  # of the builder
    mean: Tuple[float, ...]  # per channel, of pixels in 0..1
    std: Tuple[float, ...]
    tokenizer: str  # the tokeniser's fingerprint
    num_identities: Optional[int] = (
        None  # of the re-identification head; None without one
    )
    caption_weight: float = 0.2  # beside an image

    @property
    def image_size(self) -> Tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.arguments["image_size"]
        return height, width

    @property
    def max_text_length(self) -> int:
        """The longest caption in tokens."""
        return int(self.arguments["max_text_length"])


class LoadedModel(NamedTuple):
    """A model to search with, and what its inputs have to go through."""

    model: MMETForReID
    tokenizer: WordPieceTokenizer
    description: ModelDescription


class LoadedEncoders(NamedTuple):
    """A model to train on, and what its inputs have to go through."""

    mmet: MMET
    tokenizer: WordPieceTokenizer
    description: ModelDescription


def build_mmet(
    description: ModelDescription, masking: Optional[nn.Module] = None
) -> MMET:
    """The MMET that ``description`` names, with random weights.

    Raises:
        ValueError: If the builder is unknown or does not take the arguments.
    """
    if description.builder not in MMET_BUILDERS:
        raise ValueError(
            f"unknown model {description.builder!r}, expected one of {', '.join(MMET_BUILDERS)}"
        )
    builder = MMET_BUILDERS[description.builder]
    known = set(signature(builder).parameters) - {"masking"}
    unknown = sorted(set(description.arguments) - known)
    if unknown:
        raise ValueError(
            f"{description.builder} takes no {unknown[0]!r}, expected some of {', '.join(sorted(known))}"
        )
    return builder(masking=masking, **description.arguments)


def load(path: Union[str, Path]) -> LoadedModel:
    """A fine-tuned model from its checkpoint, in evaluation mode, with its tokeniser.

    Args:
        path (Union[str, Path]): The checkpoint's directory.

    Returns:
        LoadedModel: ``model.embed(image=..., text=...)`` is ready to use.

    Raises:
        CheckpointError: If the checkpoint is not whole, or holds no re-identification model.
    """
    checkpoint = read_checkpoint(path, groups=["model"])
    description = read_description(checkpoint)
    if description.num_identities is None:
        raise CheckpointError(
            f"{path} holds a pretrained model without a re-identification head; fine-tune it first, or read its "
            "encoders with load_mmet"
        )
    model: MMETForReID = mmet_for_reid(
        build_mmet(description),
        num_identities=description.num_identities,
        caption_weight=description.caption_weight,
    )
    load_state_dict(model, checkpoint.tensors["model"], source=str(path))
    return LoadedModel(
        model.eval(), read_tokenizer(checkpoint, description), description
    )


def load_mmet(path: Union[str, Path], **changed: Any) -> LoadedEncoders:
    """The encoders of a pretrained or a fine-tuned checkpoint, without the heads.

    Args:
        path (Union[str, Path]): The checkpoint's directory.
        **changed (Any): Arguments of the builder that differ from the checkpoint's, such as ``drop_path``.

    Raises:
        CheckpointError: If the checkpoint is not whole, or its weights do not fit.
    """
    checkpoint = read_checkpoint(path, groups=["model"])
    description = read_description(checkpoint)
    description = description._replace(
        arguments={**description.arguments, **changed}, num_identities=None
    )
    model = build_mmet(description)
    state = checkpoint.tensors["model"]
    heads = [name for name in state if not name.startswith("mmet.")]
    load_state_dict(
        model,
        state,
        ignored=heads,
        key_map=lambda given: {
            name[len("mmet.") :]: value for name, value in given.items()
        },
        source=str(path),
    )
    return LoadedEncoders(model, read_tokenizer(checkpoint, description), description)


def read_description(checkpoint: Checkpoint) -> ModelDescription:
    """What ``checkpoint`` says of its model."""
    try:
        description = ModelDescription(**checkpoint.metadata["model"])
        return description._replace(
            mean=tuple(description.mean), std=tuple(description.std)
        )
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{checkpoint.path} does not describe an MMET: {error}; expected a checkpoint of the MMET recipes"
        ) from error


def read_tokenizer(
    checkpoint: Checkpoint, description: ModelDescription
) -> WordPieceTokenizer:
    """The tokeniser that travels with ``checkpoint``."""
    tokenizer = WordPieceTokenizer.load(str(checkpoint.path / TOKENIZER_FILE))
    check_tokenizer(tokenizer, description, str(checkpoint.path))
    return tokenizer


def check_tokenizer(
    tokenizer: WordPieceTokenizer, description: ModelDescription, source: str
) -> None:
    """Raises a CheckpointError unless ``tokenizer`` is the one that the model of ``source`` was trained with."""
    vocab_size = description.arguments["vocab_size"]
    if tokenizer.vocab_size != vocab_size:
        raise CheckpointError(
            f"the tokeniser has {tokenizer.vocab_size} tokens, but the model of {source} was trained with "
            f"{vocab_size}; use the {TOKENIZER_FILE} that lies in the checkpoint"
        )
    if tokenizer.fingerprint() != description.tokenizer:
        raise CheckpointError(
            f"the tokeniser has the {vocab_size} tokens that the model of {source} expects, but other ones or "
            f"in another order; use the {TOKENIZER_FILE} that lies in the checkpoint"
        )


def model_files(tokenizer: WordPieceTokenizer) -> Mapping[str, bytes]:
    """The files that travel in a checkpoint beside the weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / TOKENIZER_FILE
        tokenizer.save(str(path))
        return {TOKENIZER_FILE: path.read_bytes()}
