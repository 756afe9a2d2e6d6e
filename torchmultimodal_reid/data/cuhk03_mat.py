# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""CUHK03's own archive: one MATLAB file with all images and the classic splits, and the files of the new protocol."""

import logging
import os
import shutil
import tempfile
from typing import Any, List, NamedTuple, Set, Tuple

import numpy as np
from PIL import Image
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.matlab import (
    errors_named,
    load_mat,
    open_hdf5,
    VERSION_7_3,
    whole_numbers,
)

logger = logging.getLogger(__name__)

NUM_PAIRS = 5  # pairs of cameras
NUM_VIEWS = 10  # columns of the cell arrays: five images from the first camera of a pair, five from the second
CONFIG_KEYS = ("labels", "filelist", "train_idx", "query_idx", "gallery_idx")


class NewProtocol(NamedTuple):
    """A file ``cuhk03_new_protocol_config_*.mat``.

    Args:
        names (List[str]): Names of all images, such as ``1_001_1_01.png``.
        identities (List[int]): Identities of all images.
        parts (Tuple[List[int], List[int], List[int]]): Positions of the train, query and gallery images, from 0.
    """

    names: List[str]
    identities: List[int]
    parts: Tuple[List[int], List[int], List[int]]


def read_new_protocol(path: str) -> NewProtocol:
    """Reads a file of the new protocol (Zhong et al. 2017, https://arxiv.org/abs/1701.08398), which needs scipy.

    Raises:
        DataError: If the file is missing or broken, or its variables do not fit together.
    """
    content = load_mat(path, CONFIG_KEYS)
    names = []
    for cell in content["filelist"].flatten():
        name = cell.flatten()[0] if isinstance(cell, np.ndarray) and cell.size else cell
        if not isinstance(name, str):
            raise DataError(
                f"{path}: variable filelist must hold names such as 1_001_1_01.png, got {name!r}"
            )
        names.append(name.strip())
    identities = whole_numbers(path, "labels", content["labels"])
    if len(identities) != len(names):
        raise DataError(
            f"{path}: {len(identities)} labels for {len(names)} names in filelist; expected one for each"
        )
    parts = []
    for key in CONFIG_KEYS[2:]:
        positions = whole_numbers(path, key, content[key])
        for position in positions:
            if not 1 <= position <= len(names):
                raise DataError(
                    f"{path}: {position} in {key}; expected 1 to {len(names)}, the number of names in filelist"
                )
        parts.append([position - 1 for position in positions])
    return NewProtocol(names, identities, (parts[0], parts[1], parts[2]))


def read_classic_test_set(path: str, split: int) -> Set[Tuple[int, int]]:
    """Test people of a classic split in ``cuhk-03.mat``, as pair of cameras and person, from 1. Needs h5py.

    Raises:
        DataError: If the file is missing or broken, or has no such split.
    """
    with open_hdf5(path, ["testsets"]) as file, errors_named(path, VERSION_7_3):
        references = np.asarray(file["testsets"]).flatten()
        if not 0 <= split < len(references):
            raise DataError(
                f"{path}: no split {split}; expected 0 to {len(references) - 1}"
            )
        rows = np.asarray(file[references[split]]).T
    name = f"testsets[{split}]"
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise DataError(
            f"{path}: variable {name} must have two columns, pair of cameras and person; got the shape {rows.shape}"
        )
    numbers = whole_numbers(path, name, rows)
    return set(zip(numbers[::2], numbers[1::2]))


def extract_images(path: str, boxes: str, folder: str) -> None:
    """Writes the images in ``cuhk-03.mat`` to a folder as ``1_001_1_01.png``: pair, person, camera, number.

    These are the names that the new protocol's files use. The folder appears when it is complete.

    Args:
        path (str): ``cuhk-03.mat``, which needs h5py.
        boxes (str): ``"detected"`` or ``"labeled"``.
        folder (str): Where to; must not exist yet.

    Raises:
        DataError: If the file is missing or broken, or the folder cannot be written.
    """
    with open_hdf5(path, [boxes]) as file:
        parent = os.path.dirname(os.path.abspath(folder))
        logger.warning(
            "extracting the %s images of %s to %s, once", boxes, path, folder
        )
        try:
            unfinished = tempfile.mkdtemp(prefix=".extracting-", dir=parent)
        except OSError as error:
            raise DataError(
                f"{parent}: the images of {path} cannot be extracted to here ({error.strerror}); name another folder "
                "with images_root"
            ) from error
        try:
            _extract(file, path, boxes, unfinished)
            os.replace(unfinished, folder)
        except OSError as error:
            raise DataError(
                f"{folder}: the images of {path} cannot be written ({error})"
            ) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _extract(file: Any, path: str, boxes: str, folder: str) -> None:
    def follow(reference: Any) -> np.ndarray:
        with errors_named(path, VERSION_7_3):
            return np.asarray(file[reference])

    pairs = follow(boxes).flatten()
    if len(pairs) != NUM_PAIRS:
        raise DataError(
            f"{path}: variable {boxes} must have a cell for each of {NUM_PAIRS} pairs of cameras, got {len(pairs)}"
        )
    for pair, reference in enumerate(pairs, start=1):
        # HDF5 keeps MATLAB's arrays transposed: columns first
        people = follow(reference).T
        if people.ndim != 2 or people.shape[1] != NUM_VIEWS:
            raise DataError(
                f"{path}: cell {pair} of {boxes} must have {NUM_VIEWS} images for each person, got the shape "
                f"{people.shape}"
            )
        for person, cells in enumerate(people, start=1):
            for number, cell in enumerate(cells, start=1):
                image = follow(cell).T
                # an empty cell of MATLAB's is a pair of zeros in HDF5
                if image.ndim < 3:
                    continue
                name = image_name(pair, person, number)
                if image.shape[2] != 3 or image.dtype != np.uint8:
                    raise DataError(
                        f"{path}: image {name} of {boxes} must be uint8 of shape (h, w, 3), got {image.dtype} of "
                        f"{image.shape}"
                    )
                Image.fromarray(np.ascontiguousarray(image)).save(
                    os.path.join(folder, name)
                )


def image_name(pair: int, person: int, number: int) -> str:
    """Name of an image; pair of cameras, person within it and number of the image (1 to 10) count from 1."""
    camera = 1 if number <= NUM_VIEWS // 2 else 2
    return f"{pair}_{person:03d}_{camera}_{number:02d}.png"
