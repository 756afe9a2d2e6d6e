# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Iterator, Optional

import torch
from torch.utils.data import Dataset
from torchmultimodal_reid.data.dataset import REPLACEMENT, SampleKey
from torchmultimodal_reid.data.sample_maker import (
    ImageTransform,
    PersonSample,
    SampleMaker,
    TextTransform,
)
from torchmultimodal_reid.data.shards.samples import ShardSamples
from torchmultimodal_reid.utils.seeding import generator_for


class NumberedShards(Dataset):
    """``PersonDataset`` out of tar shards: samples by their number, for samplers that know the batch of any step.

    A key's index is the number of a sample in the shards (``ShardSamples``). The sample itself is that of
    ``PersonDataset(split.train, ...)``, with its position there as ``index``: a function of the seed, that position and
    the draw alone.

    Args:
        samples (ShardSamples): The shards.
        image_transform (Optional[ImageTransform]): Without it, samples are text only. Default: ``None``
        caption_transform (Optional[TextTransform]): Without it, samples are images only. Default: ``None``
        seed (int): Seed of augmentation and choice of caption. Default: 0

    Raises:
        ValueError: If both transforms are missing.
        DataError: If captions are asked for and some images have none; on reading, as ``ShardSamples.read``, or if a
            caption does not fit.
        UnreadableImageError: On reading, if an image is damaged.
    """

    replaced_by = "another image of the same shard"

    def __init__(
        self,
        samples: ShardSamples,
        image_transform: Optional[ImageTransform] = None,
        caption_transform: Optional[TextTransform] = None,
        *,
        seed: int = 0,
    ) -> None:
        if image_transform is None and caption_transform is None:
            raise ValueError("give an image_transform, a caption_transform or both")
        if caption_transform is not None:
            samples.check_captioned()
        self.samples = samples
        self.seed = seed
        self._make = SampleMaker(image_transform, caption_transform, seed)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: SampleKey) -> PersonSample:
        raw = self.samples.read(key.index)
        return self._make(raw.person, raw.index, key.draw, raw.decode)

    def replacements(self, key: SampleKey) -> Iterator[SampleKey]:
        """What may stand for a sample whose image cannot be read: the other samples of its shard.

        Their order is drawn from the seed and the key, so that it is the same in any worker and after any break.

        Args:
            key (SampleKey): The sample that is missing.
        """
        shard = self.samples.shard_of(key.index)
        generator = generator_for(self.seed, "replacement", key.index, key.draw)
        for i in torch.randperm(len(shard), generator=generator).tolist():
            if shard[i] != key.index:
                yield key._replace(index=shard[i], draw=key.draw + REPLACEMENT)
