# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""For ``torch.hub.load``: the models of the zoo, and what VTBR's pretraining leaves, with torch and torchvision alone.

Nothing is downloaded but the repository itself, in which the zoo's weights lie.
"""

import hashlib
import importlib
import json
import math
import struct
from pathlib import Path
from typing import Any, Dict, Optional, Union

import torch
import torchvision

dependencies = ["torch", "torchvision"]

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
# where the names of the CNN may begin: in VTBR's checkpoints, in VirTex's, in a plain file of torchvision's
_PREFIXES = ("visual.", "visual.cnn.", "")
_ADVICE = "expected a checkpoint that examples/vtbr/pretrain.py wrote"
# after a CNN's feature map, for which a captioner has no weights
_HEADS = ("fc", "classifier")
_ROOT = Path(__file__).resolve().parent
_WEIGHTS = _ROOT / "torchmultimodal_reid" / "weights"


def zoo(name: str, pretrained: bool = True) -> torch.nn.Module:
    """A model of the zoo by its name, in evaluation mode: ``torch.hub.load(REPOSITORY, "zoo", "NAME")``.

    It needs what the library needs (``pip install -e REPOSITORY``). Its card in ``torchmultimodal_reid/weights/NAME``
    tells what it learned from and what it must not be used for.

    Args:
        name (str): Such as one of :func:`torchmultimodal_reid.zoo_models`.
        pretrained (bool): There are only trained ones here; random weights come from the library's builders.
            Default: True

    Raises:
        ValueError: If there is no such model, ``pretrained`` is False, or the library cannot be imported.
    """
    _want_trained(pretrained)
    return _library("models.loading").load(_only_a_name(name)).model


def zoo_pipeline(name: str, device: Optional[str] = None) -> Any:
    """The same with its transforms and its tokeniser, a ``ReIDPipeline``: files, PIL images and captions in.

    Args:
        name (str): See :func:`zoo`.
        device (Optional[str]): Where to compute. Default: None, on a GPU if there is one

    Raises:
        ValueError: See :func:`zoo`.
    """
    pipeline = _library("pipeline").ReIDPipeline
    return pipeline.from_checkpoint(_only_a_name(name), device)


def vtbr_backbone(name: str, pretrained: bool = True) -> torch.nn.Module:
    """The CNN of a captioner of the zoo, as a plain model of torchvision. It needs torch and torchvision alone.

    Args:
        name (str): Of the captioner in the zoo.
        pretrained (bool): See :func:`zoo`. Default: True

    Returns:
        torch.nn.Module: Its head has random weights, for the captioner has none; replace it.

    Raises:
        ValueError: If the zoo has no such captioner, or its weights were altered.
    """
    _want_trained(pretrained)
    manifests = {path.parent.name: path for path in _WEIGHTS.glob("*/checkpoint.json")}
    said = {
        key: json.loads(path.read_text(encoding="utf-8"))["metadata"]["model"]
        for key, path in manifests.items()
    }
    captioners = [key for key, model in said.items() if model["builder"] == "vtbr"]
    if name not in captioners:
        raise ValueError(
            f"the zoo has no captioner {name!r}, it has {', '.join(captioners) or 'none'}"
        )
    backbone = said[name]["arguments"]["backbone"]
    model = getattr(torchvision.models, backbone)(weights=None)
    _fill(model, _read(manifests[name].parent), name, backbone)
    return model


def vtbr_resnet50(
    pretrained: bool = False,
    weights: Optional[Union[str, Path]] = None,
    **kwargs: Any,
) -> torchvision.models.ResNet:
    """A plain ResNet-50 of torchvision, with the weights that VTBR learned from captions of persons
    (https://arxiv.org/abs/2110.05074).

    Args:
        pretrained (bool): Whether to load ``weights``, which have to be given then: none are published with this
            repository. Default: False
        weights (Optional[Union[str, Path]]): A checkpoint's folder that ``examples/vtbr/pretrain.py`` wrote, or a
            ``.safetensors``, ``.pth`` or ``.pt`` file with the same names. What is given is loaded, whatever
            ``pretrained`` says. Default: None, for random weights
        **kwargs (Any): Of ``torchvision.models.resnet50``.

    Returns:
        torchvision.models.ResNet: Its ``fc`` has random weights, for the captioner has none; replace it.

    Raises:
        ValueError: If weights are wanted and not given, cannot be read, or are not those of a ResNet-50.
    """
    if weights is None and pretrained:
        raise ValueError(
            "no weights of a ResNet-50 are published with this repository: give weights=PATH, a checkpoint of vtbr_r50 "
            "that examples/vtbr/pretrain.py wrote, or see vtbr_backbone"
        )
    model = torchvision.models.resnet50(weights=None, **kwargs)
    if weights is not None:
        _fill(model, _read(Path(weights)), str(weights), "ResNet-50")
    return model


def _want_trained(pretrained: bool) -> None:
    if not pretrained:
        raise ValueError(
            "the zoo has trained models alone; for random weights call a builder of torchmultimodal_reid"
        )


def _only_a_name(name: str) -> Path:
    """The folder of a name, so that no folder of that name where the program runs is taken for it."""
    folder = _WEIGHTS / name
    if (folder / "checkpoint.json").is_file():
        return folder
    names = sorted(path.parent.name for path in _WEIGHTS.glob("*/checkpoint.json"))
    raise ValueError(
        f"the zoo has no model {name!r}, it has {', '.join(names) or 'none'}"
    )


def _library(module: str) -> Any:
    try:
        return importlib.import_module(f"torchmultimodal_reid.{module}")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the zoo's models need the library, and {error.name} is missing for it: pip install -e {_ROOT}"
        ) from error


def _fill(
    model: torch.nn.Module, state: Dict[str, torch.Tensor], source: str, kind: str
) -> None:
    """Loads the CNN's part of ``state``, every tensor of it or none."""
    own = model.state_dict()
    parts = []
    for prefix in _PREFIXES:
        keys = [key for key in state if key.startswith(prefix)]
        parts.append({key[len(prefix) :]: state[key] for key in keys})
    given = max(parts, key=lambda part: len(set(part) & set(own)))
    if not set(given) & set(own):
        names = ", ".join(list(state)[:4])
        raise ValueError(f"{source} holds no {kind}: it has {names}; {_ADVICE}")

    optional = {key for key in own if key.split(".")[0] in _HEADS}
    optional.update(key for key in own if key.endswith("num_batches_tracked"))
    problems = [f"{key} is missing" for key in own if key not in {*given, *optional}]
    for key, tensor in given.items():
        if key not in own:
            problems.append(f"{key} is unknown")
        elif tensor.shape != own[key].shape:
            problems.append(
                f"{key} has shape {tuple(tensor.shape)}, expected {tuple(own[key].shape)}"
            )
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise ValueError(
            f"{source} does not fit a {kind}: {'; '.join(problems[:4])}{more}; {_ADVICE}"
        )
    model.load_state_dict({**own, **given})


def _read(path: Path) -> Dict[str, torch.Tensor]:
    if path.is_dir():
        return _read_checkpoint(path)
    if not path.is_file():
        raise ValueError(f"{path} is not there; {_ADVICE}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, and all mean this
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"{path} cannot be read as plain tensors: {reason}. Pickled objects are refused"
        ) from error
    for entry in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(entry), dict):
            content = content[entry]
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise ValueError(f"{path} holds no tensors by name; {_ADVICE}")
    return content


def _read_checkpoint(folder: Path) -> Dict[str, torch.Tensor]:
    """The weights in a checkpoint's folder, once their bytes are those that were written."""
    try:
        manifest = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
        expected = manifest["files"]["model.safetensors"]["sha256"]
        data = (folder / "model.safetensors").read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder} is no whole checkpoint ({error!r}); {_ADVICE}"
        ) from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise ValueError(
            f"{folder / 'model.safetensors'} is cut short or was altered; copy it again from where it is whole"
        )
    return _read_safetensors(folder / "model.safetensors")


def _read_safetensors(path: Path) -> Dict[str, torch.Tensor]:
    """The tensors of a file: eight bytes with the length of a JSON header, the header, and the tensors' bytes."""
    data = bytearray(path.read_bytes())
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length].decode("utf-8"))
        return {
            name: _tensor(data, 8 + length, entry)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} ({len(data)} bytes) cannot be read as safetensors: {error}. It is cut short or altered"
        ) from error


def _tensor(data: bytearray, start: int, entry: Dict[str, Any]) -> torch.Tensor:
    dtype, shape = _DTYPES[entry["dtype"]], [int(size) for size in entry["shape"]]
    first, last = entry["data_offsets"]
    count, size = math.prod(shape), torch.empty((), dtype=dtype).element_size()
    if not 0 <= first <= last <= len(data) - start or last - first != count * size:
        raise ValueError(
            f"a tensor of {count} {entry['dtype']} from byte {first} to {last} of {len(data) - start}"
        )
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    # a copy: the bytes need not lie where a tensor of this type may begin
    raw = torch.frombuffer(
        data, dtype=torch.uint8, count=last - first, offset=start + first
    )
    return raw.clone().view(dtype).reshape(shape)
