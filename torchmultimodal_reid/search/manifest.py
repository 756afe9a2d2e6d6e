# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What an index on disk consists of: its vectors, its entries, and the manifest that tells whether they are whole."""

import hashlib
import json
from pathlib import Path
from typing import Any, Dict

FORMAT = 1
MANIFEST, VECTORS, ENTRIES = "index.json", "vectors.faiss", "entries.sqlite"


def write_manifest(folder: Path, **description: Any) -> None:
    """Writes the manifest of a directory in which vectors and entries are already.

    Args:
        folder (Path): The directory.
        **description (Any): Fingerprint, dimension, kind and count.
    """
    sha256 = {name: _sha256(folder / name) for name in (VECTORS, ENTRIES)}
    manifest = {"format": FORMAT, **description, "sha256": sha256}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2))


def read_manifest(path: Path) -> Dict[str, Any]:
    """What :func:`write_manifest` wrote; the files that it names are not looked at.

    Raises:
        ValueError: If there is no index, or the manifest is altered or of another release.
    """
    file = path / MANIFEST
    if not file.is_file():
        raise ValueError(f"{path} is no gallery index: it has no {MANIFEST}")
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        found = manifest["format"]
        absent = {"fingerprint", "dim", "kind", "sha256"} - set(manifest)
        if absent:
            raise KeyError(*absent)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is cut short or altered; delete {path} and build the index again"
        ) from error
    if found != FORMAT:
        raise ValueError(
            f"{file} has format {found}, expected {FORMAT}: another release wrote it; build the index again"
        )
    return manifest


def check_files(path: Path, manifest: Dict[str, Any]) -> None:
    """Raises a ValueError unless the files of an index are those that its manifest was written for."""
    for name, expected in manifest["sha256"].items():
        if not (path / name).is_file() or _sha256(path / name) != expected:
            raise ValueError(
                f"{path / name} is missing, cut short or altered; delete {path} and build the index again"
            )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
