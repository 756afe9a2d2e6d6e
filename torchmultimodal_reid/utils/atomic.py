# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import errno
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Union

from torchmultimodal_reid.utils.errors import CheckpointError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def fsync_path(path: Path) -> None:
    """Forces a file's bytes, or a directory's entries, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file_atomically(path: Union[str, Path], data: Union[str, bytes]) -> None:
    """Replaces a file so that a reader sees the old content or the new, and never a part.

    Args:
        path (Union[str, Path]): The file. Its folder has to exist.
        data (Union[str, bytes]): The whole new content. Text is written as UTF-8.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.writing")
    try:
        with open(temporary, "wb") as file:
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_path(path.parent)


def restore_directory(path: Path) -> None:
    """Puts back the old directory if a process died between the two renames of a replacement."""
    backup = _backup(path)
    if backup.is_dir() and not path.exists():
        os.rename(backup, path)


@contextmanager
def replace_directory(path: Path, num_bytes: int) -> Iterator[Path]:
    """Gives a temporary directory to fill, which becomes ``path`` only when all went well.

    Every file is synced before the rename and a directory that stood at ``path`` is moved aside, not deleted, until the
    new one is in its place. A failure leaves what was there as it was.

    Args:
        path (Path): The directory to write. Its parents are created.
        num_bytes (int): About how much will be written, to refuse at once where it cannot fit.

    Raises:
        CheckpointError: If the disk has too little room.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    restore_directory(path)
    temporary = path.with_name(f".{path.name}.writing")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that was killed
    if shutil.disk_usage(path.parent).free < num_bytes:
        raise _no_space(path, num_bytes)
    try:
        temporary.mkdir()
        yield temporary
        for file in sorted(temporary.rglob("*")):
            fsync_path(file)
        fsync_path(temporary)
        _swap(temporary, path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if _is_no_space(error):
            raise _no_space(path, num_bytes) from error
        raise


def remove_directory(path: Path) -> None:
    """Deletes a directory in such a way that a half deleted one never bears its name."""
    doomed = path.with_name(f".{path.name}.deleting")
    shutil.rmtree(doomed, ignore_errors=True)
    os.rename(path, doomed)
    shutil.rmtree(doomed)


def _backup(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _swap(temporary: Path, path: Path) -> None:
    backup = _backup(path)
    if path.exists():
        shutil.rmtree(backup, ignore_errors=True)
        os.rename(path, backup)
    try:
        os.rename(temporary, path)
    except BaseException:
        restore_directory(path)
        raise
    fsync_path(path.parent)
    shutil.rmtree(backup, ignore_errors=True)


def _is_no_space(error: BaseException) -> bool:
    # safetensors writes its files itself and reports the system's error only in the text of its own exception
    return (
        isinstance(error, OSError) and error.errno in _NO_SPACE
    ) or "No space left" in str(error)


def _no_space(path: Path, num_bytes: int) -> CheckpointError:
    free = shutil.disk_usage(path.parent).free
    return CheckpointError(
        f"{path} needs {num_bytes / 2**20:.1f} MiB, but its disk has {free / 2**20:.1f} MiB free. "
        "Nothing was replaced: free some space or write to another disk."
    )
