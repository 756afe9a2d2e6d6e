# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


"""What a checkpoint is chosen by. It is no test set, unless someone says so, and then the result says so too."""

from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from examples.common.data import DataConfig, take_identities, training_parts
from examples.common.protocols import read_training
from examples.common.retrieval_features import uses_cameras
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.data.validation import check_split

VALIDATION_SPLIT = "validation split"
TEST_SET = "test set"
TEST_SET_WARNING = (
    "CHOSEN ON A TEST SET: whoever trained this model looked at a test set (data.select_on_test_set), so numbers on "
    "that set are better than they would be on new people"
)


class TrainingData(NamedTuple):
    """What a run learns from, and what it watches meanwhile to keep the best model."""

    images: Tuple[PersonImage, ...]  # identities 0..n-1
    watched: Optional[ReIDSplit]  # None: the last step is the result
    watched_name: Optional[str]  # VALIDATION_SPLIT, TEST_SET or None


def training_data(config: DataConfig, seed: int) -> TrainingData:
    """Reads the training part, or merges those of a protocol's sources, and cuts the validation split from it; with
    ``select_on_test_set``, takes the test part.

    Args:
        config (DataConfig): The data set.
        seed (int): Which identities are held out.

    Raises:
        DataError: If the data set cannot be read, or nothing in what is to be watched can be scored.
    """
    split = read_training(config)
    if config.select_on_test_set:
        check_split(split, uses_cameras(split))
        images = take_identities(split.train, config.identity_share, seed)
        return TrainingData(images, split, TEST_SET)
    images, watched = training_parts(
        split.train, config.validation_share, seed, split.tells_cameras
    )
    images = take_identities(images, config.identity_share, seed)
    return TrainingData(images, watched, None if watched is None else VALIDATION_SPLIT)


def selection_stamp(watched: Optional[str], step: int, is_best: bool) -> Dict[str, Any]:
    """What a checkpoint says of how it was chosen.

    Args:
        watched (Optional[str]): What the run evaluated on meanwhile; None if it did not.
        step (int): Finished steps.
        is_best (bool): Whether it is the best on what was watched; if not, it is there for its step alone.
    """
    chosen_by = f"best on the {watched}" if is_best else "fixed step"
    return {"chosen_by": chosen_by, "step": step, "watched": watched}


def read_selection(metadata: Mapping[str, Any]) -> Dict[str, Any]:
    """The stamp in a checkpoint's metadata; one of before there were stamps says that it is not known."""
    unknown = {"chosen_by": "not known", "step": metadata.get("step"), "watched": None}
    return dict(metadata.get("selection", unknown))


def chosen_on_test_set(selection: Mapping[str, Any]) -> bool:
    """Whether whoever trained the model saw results on a test set meanwhile."""
    return selection["watched"] == TEST_SET
