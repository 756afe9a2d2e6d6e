# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a loader's worker does: it reads samples, replaces those whose image is broken, and makes batches of them."""

from typing import Any, Dict, List, NamedTuple, Union

from torch.utils.data import Dataset
from torchmultimodal_reid.data.collate import Collate, PersonBatch
from torchmultimodal_reid.data.dataset import PersonSample
from torchmultimodal_reid.data.errors import DataError, UnreadableImageError


class Fetched(NamedTuple):
    """A sample, or what is wrong; errors travel as values, since torch changes the text of those that are raised."""

    sample: Union[PersonSample, DataError]
    unreadable: Dict[str, str] = (
        {}
    )  # images in whose place it stands: the problem by path


class Collated(NamedTuple):
    """A batch, or what is wrong with one of its samples."""

    batch: Union[PersonBatch, DataError]
    unreadable: Dict[str, str] = {}


class Fetch(Dataset):
    """A data set whose items are :class:`Fetched`.

    Args:
        dataset (Dataset): The data set.
        replace (bool): Whether another image, such as one of the same identity, may take the place of one that cannot
            be read; the data set says which by ``replacements`` and ``replaced_by``.
    """

    def __init__(self, dataset: Dataset, replace: bool) -> None:
        self.dataset = dataset
        self.replace = replace

    def __getitem__(self, key: Any) -> Fetched:
        try:
            return Fetched(self.dataset[key])
        except UnreadableImageError as error:
            return self._replaced(key, error) if self.replace else Fetched(error)
        except DataError as error:
            return Fetched(error)

    def _replaced(self, key: Any, error: UnreadableImageError) -> Fetched:
        unreadable = {error.path: str(error)}
        for other in self.dataset.replacements(key):  # type: ignore[attr-defined]
            try:
                return Fetched(self.dataset[other], unreadable)
            except UnreadableImageError as another:
                unreadable[another.path] = str(another)
        return Fetched(
            DataError(
                f"{error}; nor can {self.dataset.replaced_by} be read"  # type: ignore[attr-defined]
            )
        )


class CollateFetched:
    """Makes a batch of :class:`Fetched` samples, unless one of them is an error.

    Args:
        collate (Collate): Makes a batch of samples.
    """

    def __init__(self, collate: Collate) -> None:
        self.collate = collate

    def __call__(self, fetched: List[Fetched]) -> Collated:
        samples: List[PersonSample] = []
        unreadable: Dict[str, str] = {}
        for sample, problems in fetched:
            if isinstance(sample, DataError):
                return Collated(sample)
            samples.append(sample)
            unreadable.update(problems)
        return Collated(self.collate(samples), unreadable)
