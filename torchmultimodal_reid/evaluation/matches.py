# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional, Sequence, Union

import numpy as np
from torch import Tensor

JUNK_IDENTITY = -1

Labels = Union[Tensor, np.ndarray, Sequence[int]]


class Pairs(NamedTuple):
    """Query-gallery pairs of one identity, ordered by query, then by gallery position."""

    row: np.ndarray  # query, counted from the first query that was asked for
    column: np.ndarray  # position in the kept gallery
    is_hit: np.ndarray  # False: dropped, because the camera is the query's own


class Matches:
    """Which gallery items are right, dropped or junk for a query.

    An item of the query's identity is a hit, unless cameras are given and it was seen by the query's own camera: then
    it is dropped, as if it were not in the gallery. Junk (identity -1) is dropped for every query. All else is wrong,
    distractors (identity 0 in Market-1501) too: no query has their identity.

    Args:
        query_identities (Labels): Shape ``(q,)``, integers.
        gallery_identities (Labels): Shape ``(n,)``, integers.
        query_cameras (Optional[Labels]): Shape ``(q,)``, integers. Default: ``None``, no camera filter
        gallery_cameras (Optional[Labels]): Shape ``(n,)``, integers. Default: ``None``, no camera filter

    Raises:
        ValueError: If lengths do not fit, labels are not integers, or only one of the cameras is given.
    """

    def __init__(
        self,
        query_identities: Labels,
        gallery_identities: Labels,
        query_cameras: Optional[Labels] = None,
        gallery_cameras: Optional[Labels] = None,
    ) -> None:
        if (query_cameras is None) != (gallery_cameras is None):
            raise ValueError(
                "query_cameras and gallery_cameras must be given together or not at all"
            )
        self.query_identities = as_labels(query_identities, "query_identities")
        identities = as_labels(gallery_identities, "gallery_identities")
        self.num_queries, self.num_gallery = len(self.query_identities), len(identities)
        self.has_junk = bool((identities == JUNK_IDENTITY).any())
        self.kept_columns = np.flatnonzero(identities != JUNK_IDENTITY)
        identities = identities[self.kept_columns]
        self.query_cameras: Optional[np.ndarray] = None
        if query_cameras is not None and gallery_cameras is not None:
            self.query_cameras = as_labels(
                query_cameras, "query_cameras", self.num_queries
            )
            cameras = as_labels(gallery_cameras, "gallery_cameras", self.num_gallery)
            self.gallery_cameras = cameras[self.kept_columns]

        # items of one identity lie together, so a query's pairs are one slice
        self._by_identity = np.argsort(identities, kind="stable")
        ordered = identities[self._by_identity]
        self._first = np.searchsorted(ordered, self.query_identities, side="left")
        last = np.searchsorted(ordered, self.query_identities, side="right")
        self.num_same_identity = last - self._first

    def pairs(self, start: int, stop: int) -> Pairs:
        """The pairs of the queries ``start`` to ``stop - 1``."""
        counts = self.num_same_identity[start:stop]
        row = np.repeat(np.arange(len(counts)), counts)
        offset = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        column = self._by_identity[self._first[start:stop][row] + offset]
        if self.query_cameras is None:
            return Pairs(row, column, np.ones(len(row), dtype=bool))
        camera = self.query_cameras[start:stop][row]
        return Pairs(row, column, self.gallery_cameras[column] != camera)


def as_labels(labels: Labels, name: str, length: Optional[int] = None) -> np.ndarray:
    """Checked labels, as int64 in NumPy."""
    array = (
        labels.detach().cpu().numpy()
        if isinstance(labels, Tensor)
        else np.asarray(labels)
    )
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"{name} must be integers of shape (rows,), got {array.dtype} of shape {array.shape}"
        )
    if length is not None and len(array) != length:
        raise ValueError(f"{name} must have {length} entries, got {len(array)}")
    return array.astype(np.int64)
