# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Set, Union

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchmultimodal_reid.utils.atomic import replace_directory, restore_directory
from torchmultimodal_reid.utils.errors import CheckpointError

MANIFEST = "checkpoint.json"
FORMAT = 1
_ADVICE = "Use another checkpoint, or copy this one again from where it is whole."


class Checkpoint(NamedTuple):
    tensors: Dict[str, Dict[str, Tensor]]  # by group and name, on the CPU
    metadata: Dict[str, Any]
    path: Path  # extra files lie beneath it


def write_checkpoint(
    path: Union[str, Path],
    tensors: Mapping[str, Mapping[str, Tensor]],
    metadata: Mapping[str, Any],
    files: Optional[Mapping[str, Union[str, bytes]]] = None,
) -> Path:
    """Writes a directory that is whole or is not there: tensors as safetensors, the rest as JSON, nothing pickled.

    The directory holds ``GROUP.safetensors`` for each group, the extra files, and ``checkpoint.json`` with the metadata
    and the size and SHA-256 of each file. A directory that stands at ``path`` is replaced only by a whole one.

    Args:
        path (Union[str, Path]): The directory.
        tensors (Mapping[str, Mapping[str, Tensor]]): Tensors by group (``"model"``, ``"optimizer"``) and name, on any
            device. Tied tensors are written once a name.
        metadata (Mapping[str, Any]): What JSON can hold. Tuples come back as lists.
        files (Optional[Mapping[str, Union[str, bytes]]]): Extra files by name, such as a tokeniser. Default: ``None``

    Returns:
        Path: The directory.

    Raises:
        CheckpointError: If the disk has too little room.
        ValueError: If the metadata is not JSON, or a group or file has no plain name.
    """
    path = Path(path)
    contents = {
        name: data.encode("utf-8") if isinstance(data, str) else data
        for name, data in (files or {}).items()
    }
    for name in (*tensors, *contents):
        if not name or name in (MANIFEST, ".", "..") or Path(name).name != name:
            raise ValueError(
                f"a group or file of a checkpoint needs a plain name, got {name!r}"
            )
    try:
        json.dumps(metadata)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the metadata of checkpoint {path} must be what JSON can hold: {error}"
        ) from error

    num_bytes = sum(
        t.numel() * t.element_size()
        for group in tensors.values()
        for t in group.values()
    )
    num_bytes += sum(len(data) for data in contents.values())
    with replace_directory(path, num_bytes) as directory:
        for name, group in tensors.items():
            save_file(_plain_tensors(group), directory / f"{name}.safetensors")
        for name, data in contents.items():
            (directory / name).write_bytes(data)
        body = {
            "format": FORMAT,
            "groups": sorted(tensors),
            "files": {
                file.name: _fingerprint(file) for file in sorted(directory.iterdir())
            },
            "metadata": dict(metadata),
        }
        manifest = {**body, "sha256": _hash_of_json(body)}
        (directory / MANIFEST).write_text(
            json.dumps(manifest, indent=2, sort_keys=True), encoding="utf-8"
        )
    return path


def read_checkpoint(
    path: Union[str, Path], groups: Optional[Sequence[str]] = None
) -> Checkpoint:
    """Reads a directory of :func:`write_checkpoint` and checks every byte that it reads.

    Args:
        path (Union[str, Path]): The directory.
        groups (Optional[Sequence[str]]): Which groups of tensors to read, such as ``["model"]`` to use a model without
            its optimizer. The extra files are checked always. Default: ``None``, for all of them

    Raises:
        CheckpointError: If there is no checkpoint, or a file of it is missing, cut short or altered.
    """
    path = Path(path)
    restore_directory(path)
    manifest = _read_manifest(path)
    present = manifest["groups"]
    wanted = present if groups is None else list(groups)
    absent = sorted(set(wanted) - set(present))
    if absent:
        raise CheckpointError(
            f"checkpoint {path} has no tensors {absent}, it has {present}"
        )
    unread = {f"{name}.safetensors" for name in present if name not in wanted}
    for name, expected in manifest["files"].items():
        if name not in unread:
            _check_file(path / name, expected)
    tensors = {name: _read_tensors(path / f"{name}.safetensors") for name in wanted}
    return Checkpoint(tensors, manifest["metadata"], path)


def checkpoint_fingerprint(checkpoint: Checkpoint) -> str:
    """Hash of a checkpoint's files and of what it says of its model: weights, tokeniser and transforms."""
    manifest = _read_manifest(checkpoint.path)
    content = [manifest["files"], checkpoint.metadata.get("model")]
    return _hash_of_json(content)


def _plain_tensors(group: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """Contiguous CPU tensors of which no two share memory, as safetensors asks."""
    plain: Dict[str, Tensor] = {}
    storages: Set[int] = set()
    for name, tensor in group.items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.untyped_storage().data_ptr() in storages:
            tensor = tensor.clone()
        storages.add(tensor.untyped_storage().data_ptr())
        plain[name] = tensor
    return plain


def _read_tensors(file: Path) -> Dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"checkpoint file {file} cannot be read as safetensors: {error}. {_ADVICE}"
        ) from error


def _read_manifest(path: Path) -> Dict[str, Any]:
    file = path / MANIFEST
    if not file.is_file():
        found = "the folder has none" if path.is_dir() else "there is no such folder"
        raise CheckpointError(
            f"{path} is no checkpoint: expected {file}, but {found}. Give a checkpoint's folder."
        )
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        expected = manifest.pop("sha256")
        altered = _hash_of_json(manifest) != expected
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{file} is cut short or altered ({file.stat().st_size} bytes). {_ADVICE}"
        ) from error
    if altered:
        raise CheckpointError(
            f"{file} was altered after it was written: its contents do not fit its SHA-256. {_ADVICE}"
        )
    if manifest["format"] != FORMAT:
        raise CheckpointError(
            f"{file} has format {manifest['format']}, expected {FORMAT}: another release wrote it"
        )
    return manifest


def _check_file(file: Path, expected: Mapping[str, Any]) -> None:
    if not file.is_file():
        raise CheckpointError(
            f"checkpoint file {file} is missing, expected {expected['size']} bytes. {_ADVICE}"
        )
    size = file.stat().st_size
    if size != expected["size"]:
        raise CheckpointError(
            f"checkpoint file {file} has {size} bytes, expected {expected['size']}. {_ADVICE}"
        )
    if _fingerprint(file)["sha256"] != expected["sha256"]:
        raise CheckpointError(
            f"checkpoint file {file} has the expected {size} bytes, but they were altered. {_ADVICE}"
        )


def _fingerprint(file: Path) -> Dict[str, Any]:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return {"size": file.stat().st_size, "sha256": digest.hexdigest()}


def _hash_of_json(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode("utf-8")).hexdigest()
