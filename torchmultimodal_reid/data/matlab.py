# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""MATLAB files, with errors that name the file. The libraries are optional: the extra ``matlab`` installs them."""

from typing import Any, Dict, List, Sequence

import numpy as np
from torchmultimodal_reid.data.errors import DataError, listed

INSTALL = "install it with: pip install 'torchmultimodal-reid[matlab]'"


def load_mat(path: str, keys: Sequence[str]) -> Dict[str, Any]:
    """Variables of a MATLAB file up to version 7, which needs scipy.

    scipy's reader is compiled code. A file that is cut short is an error here, but some files whose bytes were changed
    make it end the whole process: read such files from their authors only.

    Args:
        path (str): The file.
        keys (Sequence[str]): The variables that must be in it.

    Returns:
        Dict[str, Any]: These variables, as ``scipy.io.loadmat`` gives them.

    Raises:
        DataError: If scipy is not installed, the file is missing or broken, or a variable is not in it.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise DataError(f"{path}: reading it needs scipy; {INSTALL}") from error
    try:
        with open(path, "rb") as file:
            content = loadmat(file)
    except OSError as error:
        if error.errno is not None:
            raise DataError(
                f"{path}: the file cannot be read ({error.strerror})"
            ) from error
        raise broken(path, error) from error
    # a damaged file makes scipy raise what its parts happen to raise: zlib's, struct's and numpy's errors
    except Exception as error:
        raise broken(path, error) from error
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
    try:
        import h5py
    except ImportError as error:
        raise DataError(f"{path}: reading it needs h5py; {INSTALL}") from error
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise DataError(
            f"{path}: the file cannot be read ({error.strerror})"
        ) from error
    try:
        file = h5py.File(path, "r")
        try:
            check_keys(path, file, keys)
        except BaseException:
            file.close()
            raise
    except DataError:
        raise
    except Exception as error:  # h5py raises what a damaged part happens to be
        raise broken(path, error, "a MATLAB file of version 7.3 (HDF5)") from error
    return file


def broken(
    path: str, error: Exception, expected: str = "a MATLAB file of version 5 to 7"
) -> DataError:
    """The error of a file that cannot be read through."""
    return DataError(
        f"{path}: cut short, damaged or not {expected} ({type(error).__name__}: {error}); get it again"
    )


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
