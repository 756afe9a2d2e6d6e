# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from pathlib import Path
from typing import Any, Callable, Iterable

import pytest


@pytest.fixture
def touch_files(tmp_path: Path) -> Callable[..., str]:
    """Writes empty files below a folder and returns it: readers open no image."""

    def touch(names: Iterable[str], root: str = "set") -> str:
        folder = tmp_path / root
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return str(folder)

    return touch


@pytest.fixture
def facts() -> Callable[..., Any]:
    """(file name, identity, camera) of images."""
    return lambda images: [(Path(i.path).name, i.identity, i.camera) for i in images]
