# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pickle
from fnmatch import fnmatchcase
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn, Tensor
from torchmultimodal_reid.utils.errors import CheckpointError

KeyMap = Callable[[Dict[str, Tensor]], Dict[str, Tensor]]
_LISTED = 8


class LoadReport(NamedTuple):
    loaded: Tuple[str, ...]  # keys of the module that were filled
    missing: Tuple[str, ...]  # keys of the module that kept their values, as allowed
    ignored: Tuple[str, ...]  # keys of the source that were left out on purpose

    def __str__(self) -> str:
        text = f"{len(self.loaded)} tensors loaded"
        for name in ("missing", "ignored"):
            keys = getattr(self, name)
            text += f", {len(keys)} {name} ({_some(keys)})" if keys else ""
        return text


def load_state_dict(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    key_map: Optional[KeyMap] = None,
    ignored: Sequence[str] = (),
    allowed_missing: Sequence[str] = (),
    source: str = "the state dict",
) -> LoadReport:
    """Loads tensors into a module strictly: each one has a place of its shape and each place gets one.

    Exceptions have to be named, as patterns in which ``*`` stands for anything.

    Args:
        module (nn.Module): The module to fill. It is left as it was if anything does not fit.
        state (Mapping[str, Tensor]): The tensors by name.
        key_map (Optional[KeyMap]): Turns the source's names into the module's. Default: ``None``
        ignored (Sequence[str]): Patterns of the source's keys, before ``key_map``, to leave out. Default: ``()``
        allowed_missing (Sequence[str]): Patterns of the module's keys that may keep their values. Default: ``()``
        source (str): What the tensors are, for messages. Default: ``"the state dict"``

    Returns:
        LoadReport: Which keys were loaded and which were not.

    Raises:
        CheckpointError: If keys are missing or unexpected, shapes differ, or nothing fits.
    """
    left_out = [key for key in state if _matches(key, ignored)]
    given = {key: value for key, value in state.items() if key not in set(left_out)}
    if key_map is not None:
        given = key_map(given)
    own = module.state_dict()
    own = {key: value for key, value in own.items() if isinstance(value, Tensor)}

    fitting = [
        key for key in given if key in own and _problem(given[key], own[key]) is None
    ]
    filled = {own[key].data_ptr() for key in fitting if own[key].numel()}
    # a tied weight may be stored under one of its names only
    absent = [
        key for key in own if key not in given and own[key].data_ptr() not in filled
    ]
    allowed = [key for key in absent if _matches(key, allowed_missing)]
    missing = sorted(set(absent) - set(allowed))
    unexpected = sorted(set(given) - set(own))
    mismatched = [
        f"{key} {_problem(given[key], own[key])}"
        for key in given
        if key in own and key not in set(fitting)
    ]

    name = type(module).__name__
    if not fitting:
        raise CheckpointError(
            f"none of the {len(state)} tensors of {source} fits {name}. It has {_some(list(given))}; expected "
            f"{_some(list(own))}. Is it another model's, or is a key map needed?"
        )
    problems = [
        f"{len(keys)} {what}: {_some(keys)}"
        for what, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", mismatched),
        )
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{source} does not fit {name}: "
            + "; ".join(problems)
            + ". Build the model with the arguments that the "
            "tensors were saved with, or name the keys to leave out."
        )
    module.load_state_dict({**module.state_dict(), **given}, strict=True)
    loaded = tuple(sorted(set(own) - set(absent)))
    return LoadReport(loaded, tuple(sorted(allowed)), tuple(sorted(left_out)))


def read_state_dict(
    path: Union[str, Path], key: Optional[str] = None, *, entries: Sequence[str] = ()
) -> Dict[str, Tensor]:
    """Reads a file of tensors, onto the CPU and without running any code that it may hold.

    Args:
        path (Union[str, Path]): A ``.safetensors``, ``.pth``, ``.pt`` or ``.bin`` file.
        key (Optional[str]): Where in the file the state dict is (``"model"``, ``"state_dict"``), if not at the top.
            Default: ``None``
        entries (Sequence[str]): Where it may be if it is not at the top and no ``key`` is given: the first entry of
            these that the file has. Default: ``()``

    Raises:
        CheckpointError: If the file is missing or cut short, holds pickled objects or something else than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"expected a file of tensors at {path}, but there is none"
        )
    if path.suffix not in (".safetensors", ".pth", ".pt", ".bin"):
        raise CheckpointError(
            f"{path} is of unknown kind {path.suffix!r}, expected .safetensors, .pth, .pt or .bin"
        )
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        OSError,
        EOFError,
        RuntimeError,
        ValueError,
        KeyError,
        pickle.UnpicklingError,
    ) as error:
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as plain tensors: {reason}. It is cut short, "
            "or holds pickled objects, which are refused: save its state dict alone and give that."
        ) from error
    if key is None and isinstance(content, Mapping):
        key = next(
            (entry for entry in entries if isinstance(content.get(entry), Mapping)),
            None,
        )
    if key is not None:
        if not isinstance(content, Mapping) or key not in content:
            raise CheckpointError(
                f"{path} has no entry {key!r}, it has {_entries(content)}"
            )
        content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise CheckpointError(
            f"{path} holds {_entries(content)}, expected tensors by name: say which entry holds them"
        )
    return dict(content)


def _matches(key: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _problem(given: Tensor, own: Tensor) -> Optional[str]:
    if not isinstance(given, Tensor):
        return f"is a {type(given).__name__}, expected a tensor"
    if given.shape != own.shape:
        return f"has shape {tuple(given.shape)}, expected {tuple(own.shape)}"
    if given.is_floating_point() != own.is_floating_point():
        return f"has dtype {given.dtype}, expected {own.dtype}"
    return None


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
    return ", ".join(keys[:_LISTED]) + more if keys else "nothing"


def _entries(content: Any) -> str:
    if isinstance(content, Mapping):
        return "entries " + _some(
            [f"{key!r} ({type(value).__name__})" for key, value in content.items()]
        )
    return f"a {type(content).__name__}"
