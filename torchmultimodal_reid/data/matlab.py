# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""MATLAB files, with errors that name the file. The libraries are optional: the extra ``matlab`` installs them."""

import importlib
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Dict, Iterator, List, Sequence

import numpy as np
from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.mat5 import check_mat5

INSTALL = "install it with: pip install 'torchmultimodal-reid[matlab]'"
UP_TO_7 = "a MATLAB file of version 5 to 7"
VERSION_7_3 = "a MATLAB file of version 7.3 (HDF5)"


def load_mat(path: str, keys: Sequence[str]) -> Dict[str, Any]:
    """Variables of a MATLAB file up to version 7, which needs scipy.

    scipy's reader is compiled code that a damaged file can make end the whole process, so the file is checked first.

    Args:
        path (str): The file.
        keys (Sequence[str]): The variables that must be in it.

    Returns:
        Dict[str, Any]: These variables, as ``scipy.io.loadmat`` gives them.

    Raises:
        DataError: If scipy is not installed, the file is missing or broken, or a variable is not in it.
    """
    library = _library(path, "scipy.io")
    with errors_named(path, UP_TO_7), open(path, "rb") as file:
        data = file.read()
        check_mat5(data)
        content = library.loadmat(BytesIO(data))
    check_keys(path, content, keys)
    return {key: content[key] for key in keys}


def open_hdf5(path: str, keys: Sequence[str]) -> Any:
    """An open MATLAB file of version 7.3, which is HDF5 and needs h5py. Close it after use.

    Args:
        path (str): The file.
        keys (Sequence[str]): The variables that must be in it.

    Raises:
        DataError: If h5py is not installed, the file is missing or broken, or a variable is not in it.
    """
    library = _library(path, "h5py")
    with errors_named(path, VERSION_7_3):
        # h5py's own message for a file that is not there is about something else
        open(path, "rb").close()
        file = library.File(path, "r")
        try:
            check_keys(path, file, keys)
        except BaseException:
            file.close()
            raise
    return file


def _library(path: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise DataError(f"{path}: reading it needs {package}; {INSTALL}") from error


@contextmanager
def errors_named(path: str, expected: str) -> Iterator[None]:
    """Whatever a library raises while it reads a file becomes a ``DataError`` that names the file.

    Args:
        path (str): The file.
        expected (str): What it should be, for the message.
    """
    try:
        yield
    except DataError:
        raise
    # a damaged file makes the libraries raise what its parts happen to raise: zlib's, struct's and numpy's errors
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(
                f"{path}: the file cannot be read ({error.strerror})"
            ) from error
        raise DataError(
            f"{path}: cut short, damaged or not {expected} ({type(error).__name__}: {error}); get it again"
        ) from error


def check_keys(path: str, content: Any, keys: Sequence[str]) -> None:
    """Raises a ``DataError`` if a variable is missing."""
    missing = [key for key in keys if key not in content]
    if missing:
        found = sorted(key for key in content if not key.startswith("_"))
        raise DataError(
            f"{path}: variable {', '.join(missing)} is missing; found {listed(found) if found else 'none'}"
        )


def whole_numbers(path: str, name: str, values: Any) -> List[int]:
    """The elements of an array, in order, which must be whole numbers."""
    array = np.asarray(values)
    if array.dtype.kind == "f" and array.size and np.all(array == np.floor(array)):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or not array.size:
        raise DataError(
            f"{path}: variable {name} must hold whole numbers, got {array.size} values of type {array.dtype}"
        )
    return [int(value) for value in array.flatten()]
