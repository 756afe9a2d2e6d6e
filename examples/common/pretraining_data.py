# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a pretraining learns from, out of folders or out of shards; the recipes need not know which."""

from typing import NamedTuple, Optional

from examples.common.data import DataConfig
from examples.common.selection import training_data
from examples.common.shard_source import open_shards
from examples.common.sources import FileSource, Source
from torchmultimodal_reid.data.sample import ReIDSplit


class PretrainingData(NamedTuple):
    """What a run learns from, and what it watches meanwhile to keep the best model."""

    source: Source
    watched: Optional[ReIDSplit]  # None: the last step is the result
    watched_name: Optional[str]  # see TrainingData


def pretraining_data(config: DataConfig, seed: int) -> PretrainingData:
    """Opens ``data.shards`` where it is given; else reads as :func:`training_data` does.

    Args:
        config (DataConfig): The data set.
        seed (int): Which identities are held out.

    Raises:
        ValueError: If keys do not go together.
        DataError: If the data set cannot be read.
    """
    if config.shards is not None:
        return PretrainingData(open_shards(config), None, None)
    images, watched, watched_name = training_data(config, seed)
    return PretrainingData(FileSource(images, config.cache), watched, watched_name)
