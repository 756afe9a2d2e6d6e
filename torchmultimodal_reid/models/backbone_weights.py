# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Where the weights of a backbone come from, and how they are fitted to it."""

import difflib
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

import torch
import torchvision
from torch import nn, Tensor
from torchmultimodal_reid.models.backbones import BACKBONES, find_backbone
from torchmultimodal_reid.utils.checkpoint import read_checkpoint
from torchmultimodal_reid.utils.errors import CheckpointError
from torchmultimodal_reid.utils.state_dict import (
    load_state_dict,
    LoadReport,
    read_state_dict,
)

SOURCES = ("random", "imagenet", "imagenet:NAME", "vtbr:CHECKPOINT", "virtex", "FILE")
FILE_KINDS = (".safetensors", ".pth", ".pt", ".bin")
# where the names of a backbone may begin in a file: torchvision's, VTBR's, VirTex's, ours, and torch's own wrappers
_PREFIXES = ("", "visual.", "visual.cnn.", "backbone.", "module.", "_orig_mod.")
_ENTRIES = ("model", "state_dict")  # in which a file may hold them
# counters that only a batch norm without momentum reads; files of older releases lack them
_COUNTERS = ("*.num_batches_tracked",)


class _Found(NamedTuple):
    prefix: str  # to take off the source's names
    added: str  # to put before them
    num_fitting: int


def check_source(source: str) -> None:
    """Raises a ValueError unless ``source`` reads as one of :data:`SOURCES`. Nothing is opened."""
    kind, colon, rest = source.partition(":")
    if source in ("random", "imagenet", "virtex"):
        return
    if colon and kind in ("imagenet", "vtbr") and rest:
        return
    if Path(source).suffix not in FILE_KINDS:
        close = difflib.get_close_matches(
            kind, ("random", "imagenet", "vtbr", "virtex"), n=1
        )
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ValueError(
            f"weights must be one of {', '.join(SOURCES)}, a file ending in {', '.join(FILE_KINDS)}; "
            f"got {source!r}.{hint}"
        )


def load_backbone_weights(backbone: nn.Module, name: str, source: str) -> LoadReport:
    """Fills a backbone of :func:`~torchmultimodal_reid.models.backbones.build_backbone`, wholly or not at all.

    Args:
        backbone (nn.Module): The backbone. It is left as it was if anything does not fit.
        name (str): Its name in :data:`~torchmultimodal_reid.models.backbones.BACKBONES`.
        source (str): One of:

            - ``random``: nothing is loaded.
            - ``imagenet``: torchvision's weights ``IMAGENET1K_V1``, downloaded into torch's cache if they are not
              there; ``imagenet:IMAGENET1K_V2`` names others.
            - ``vtbr:CHECKPOINT``: the ``visual`` part of a checkpoint of ``examples/vtbr/pretrain.py``.
            - ``virtex``: ``torch.hub.load("kdexd/virtex", "resnet50", pretrained=True)``, which downloads and runs
              the ``hubconf.py`` of that repository (https://arxiv.org/abs/2006.06666).
            - the path of a ``.pth``, ``.pt``, ``.bin`` or ``.safetensors`` file with torchvision's names, also behind
              ``visual.``, ``visual.cnn.``, ``backbone.`` or ``module.``, in an entry ``model`` or ``state_dict``, or
              of ``features`` alone. No code that it may hold is run.

    Returns:
        LoadReport: What was loaded; what kept its value (all of it for ``random``, else at most the counters of batch
        norms); what of the source was left out: its head, and what is not its backbone.

    Raises:
        ValueError: If the source is unknown, or cannot be downloaded.
        CheckpointError: If it cannot be read, or is not this backbone's. Names keys and shapes.
    """
    check_source(source)
    if source == "random":
        return LoadReport((), tuple(backbone.state_dict()), ())
    return fit_backbone(backbone, name, _read(name, source), source)


def fit_backbone(
    backbone: nn.Module, name: str, state: Dict[str, Tensor], source: str
) -> LoadReport:
    """Fills a backbone from tensors by name; see :func:`load_backbone_weights`."""
    entry = find_backbone(name)
    found = _find_names(backbone, state, entry.prefix)

    def own_name(key: str) -> str:
        return found.added + key[len(found.prefix) :]

    outside = [key for key in state if not key.startswith(found.prefix)]
    head = [
        key
        for key in state
        if key.startswith(found.prefix) and own_name(key).split(".")[0] in entry.head
    ]
    try:
        return load_state_dict(
            backbone,
            state,
            key_map=lambda given: {own_name(key): given[key] for key in given},
            ignored=outside + head,
            allowed_missing=_COUNTERS,
            source=source,
        )
    except CheckpointError as error:
        kept = {own_name(k): v for k, v in state.items() if k.startswith(found.prefix)}
        others = [other for other in _who_fits(kept) if other != name]
        hint = f" It fits {' and '.join(others)}." if others else ""
        raise CheckpointError(f"backbone {name}: {error}{hint}") from error


def _read(name: str, source: str) -> Dict[str, Tensor]:
    kind, _, rest = source.partition(":")
    if source == "virtex":
        return _from_virtex(name)
    if kind == "imagenet":
        return _from_torchvision(name, rest or "IMAGENET1K_V1")
    if kind == "vtbr" and rest:
        state = read_checkpoint(rest, groups=["model"]).tensors["model"]
        if not any(key.startswith("visual.") for key in state):
            raise CheckpointError(
                f"checkpoint {rest} has no tensors visual.*, expected a checkpoint of examples/vtbr/pretrain.py; "
                f"it has {', '.join(sorted({key.split('.')[0] for key in state}))}"
            )
        return state
    return read_state_dict(source, entries=_ENTRIES)


def _from_torchvision(name: str, weights_name: str) -> Dict[str, Tensor]:
    known = torchvision.models.get_model_weights(name)
    if weights_name not in known.__members__:
        raise ValueError(
            f"torchvision has no weights {weights_name!r} of {name}, expected one of {', '.join(known.__members__)}"
        )
    weights = known[weights_name]
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"torchvision's weights {name} {weights_name} could not be downloaded: {error}. Fetch {weights.url} where "
            "there is a network, and give the file instead of imagenet"
        ) from error


def _from_virtex(name: str) -> Dict[str, Tensor]:
    if name != "resnet50":
        raise ValueError(f"virtex is a resnet50, but the backbone is {name}")
    try:
        model = torch.hub.load(
            "kdexd/virtex", "resnet50", pretrained=True, trust_repo=True
        )
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"virtex could not be loaded from torch.hub: {error}. Save its state dict where there is a network, and "
            "give the file instead of virtex"
        ) from error
    return model.state_dict()


def _find_names(backbone: nn.Module, state: Dict[str, Tensor], added: str) -> _Found:
    """Under which prefix the most names of the backbone are."""
    own = backbone.state_dict()
    found = [
        _Found(
            prefix,
            put,
            sum(
                key.startswith(prefix) and put + key[len(prefix) :] in own
                for key in state
            ),
        )
        for prefix in _PREFIXES
        for put in sorted({"", added})
    ]
    return max(found, key=lambda option: option.num_fitting)


def _who_fits(state: Dict[str, Tensor]) -> List[str]:
    """Which backbones have exactly these tensors, counters and heads aside."""

    def shapes(tensors: Dict[str, Tensor], head: Tuple[str, ...]) -> Dict[str, object]:
        return {
            key: tuple(tensor.shape)
            for key, tensor in tensors.items()
            if not key.endswith("num_batches_tracked") and key.split(".")[0] not in head
        }

    fitting = []
    for name, entry in BACKBONES.items():
        if entry.last_stride[0] + ".weight" not in state:
            continue  # cheaper than building it
        with torch.device("meta"):
            model = getattr(torchvision.models, name)(weights=None)
        if shapes(state, entry.head) == shapes(model.state_dict(), entry.head):
            fitting.append(name)
    return fitting
