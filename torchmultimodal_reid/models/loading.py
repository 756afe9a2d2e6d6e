# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Any checkpoint of the recipes, whatever model it holds."""

from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, Union

import torch
from torch import nn
from torchmultimodal_reid.models.reid_baseline import reid_baseline
from torchmultimodal_reid.models.saved import (
    load as load_mmet_for_reid,
    load_mmet,
    MMET_BUILDERS,
    ModelDescription,
)
from torchmultimodal_reid.models.saved_reid import load_reid, ReIDDescription
from torchmultimodal_reid.models.saved_vtbr import load_vtbr, VTBR_BUILDERS
from torchmultimodal_reid.models.zoo import find_checkpoint
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.checkpoint import (
    Checkpoint,
    checkpoint_fingerprint,
    read_checkpoint,
)
from torchmultimodal_reid.utils.errors import CheckpointError


class Loaded(NamedTuple):
    """A model and all that is needed to use it."""

    # the builder of the model: "mmet_for_reid", "mmet", "reid_baseline", "vtbr", "vtbr_masked_lm" or
    # "vtbr_token_classification"
    kind: str
    model: nn.Module  # in evaluation mode
    tokenizer: Optional[WordPieceTokenizer]  # None if the model reads no text
    description: Union[ModelDescription, ReIDDescription]
    fingerprint: str  # of the checkpoint: embeddings of another must not be compared
    source: str  # where it came from, for messages


def load(
    path_or_name: Union[str, Path],
    device: Optional[Union[str, torch.device]] = None,
) -> Loaded:
    """The model of a checkpoint, in evaluation mode, with its tokeniser and its description.

    It is strict: what is cut short, was altered or does not fit is refused. Weights that are stored in half precision,
    as those of the zoo, are float32 in memory.

    Args:
        path_or_name (Union[str, Path]): A checkpoint's folder, or a name of
            :func:`~torchmultimodal_reid.models.zoo.zoo_models`.
        device (Optional[Union[str, torch.device]]): Where the model goes. Default: ``None``, to the CPU

    Returns:
        Loaded: Of a fine-tuned MMET, ``model.embed(image=..., text=...)`` is ready to use, of a baseline
        ``model.embed(image)``. Of a pretrained MMET the encoders alone are loaded. Images of files and captions as
        strings are :class:`~torchmultimodal_reid.pipeline.ReIDPipeline`'s work.

    Raises:
        CheckpointError: If there is no such checkpoint, it is not whole, or it holds another kind of model.
    """
    path = find_checkpoint(path_or_name)
    checkpoint = read_checkpoint(path, groups=[])
    kind = read_kind(checkpoint)
    model, tokenizer, description = _LOADERS[kind](path)
    model = model.eval() if device is None else model.eval().to(device)
    fingerprint = checkpoint_fingerprint(checkpoint)
    return Loaded(kind, model, tokenizer, description, fingerprint, str(path_or_name))


def read_kind(checkpoint: Checkpoint) -> str:
    """What ``checkpoint`` holds: the name of the model's builder.

    Raises:
        CheckpointError: If it is none that this release knows.
    """
    said: Any = checkpoint.metadata.get("model")
    builder = said.get("builder") if isinstance(said, dict) else None
    if builder in MMET_BUILDERS:
        return "mmet" if said.get("num_identities") is None else "mmet_for_reid"
    if builder not in _LOADERS:
        known = sorted({*MMET_BUILDERS, *_LOADERS} - {"mmet_for_reid"})
        found = f"a model of {builder!r}" if builder else "no model that is described"
        raise CheckpointError(
            f"{checkpoint.path} holds {found}, expected one of {', '.join(known)}; another release or another program "
            "wrote it"
        )
    return builder


def _load_baseline(path: Path) -> Any:
    model, description = load_reid(path)
    return model, None, description


# each gives the model, its tokeniser and its description
_LOADERS: Dict[str, Callable[[Path], Any]] = {
    "mmet_for_reid": load_mmet_for_reid,
    "mmet": load_mmet,
    reid_baseline.__name__: _load_baseline,
    **{name: load_vtbr for name in VTBR_BUILDERS},
}
