# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import threading
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from torch import Tensor
from torchmultimodal_reid.search.entries import EntryTable, GalleryEntry
from torchmultimodal_reid.search.manifest import (
    check_files,
    ENTRIES,
    read_manifest,
    VECTORS,
    write_manifest,
)
from torchmultimodal_reid.search.query_encoder import check_fingerprint, QueryEncoder
from torchmultimodal_reid.search.vectors import IVF_PQ_ABOVE, unit_vectors, VectorStore
from torchmultimodal_reid.utils.atomic import replace_directory, restore_directory


class SearchHit(NamedTuple):
    """One found gallery image."""

    id: int
    entry: GalleryEntry
    similarity: float  # cosine, in -1..1


class GalleryIndex:
    """A gallery to search by image, by caption or by both: vectors in FAISS, what is known of them in SQLite.

    Up to ``ivf_pq_above`` vectors a search is exact; beyond, approximate, see
    :class:`~torchmultimodal_reid.search.vectors.VectorStore`. Ids are given in order and never again, so one that was
    kept elsewhere never means another image. Threads may search while one of them writes: each call holds a lock.

    Args:
        fingerprint (str): Of the model that made the embeddings. Vectors of another model are refused.
        dim (int): Dimension of the embeddings.
        encoder (Optional[QueryEncoder]): The model, to search by image and text. Default: ``None``, by embedding only
        ivf_pq_above (int): Vectors beyond which a search is approximate. Default: 1,000,000

    Raises:
        ValueError: If the encoder's fingerprint is another, or FAISS is not installed.
    """

    def __init__(
        self,
        fingerprint: str,
        dim: int,
        encoder: Optional[QueryEncoder] = None,
        *,
        ivf_pq_above: int = IVF_PQ_ABOVE,
    ) -> None:
        self.fingerprint = fingerprint
        self.dim = dim
        self.encoder = encoder
        self._vectors = VectorStore(dim, ivf_pq_above)
        self._entries = EntryTable()
        self._lock = threading.RLock()
        if encoder is not None:
            check_fingerprint(fingerprint, encoder.fingerprint, "this index")

    @classmethod
    def build(
        cls,
        embedding: Tensor,
        entries: Sequence[GalleryEntry],
        fingerprint: str,
        encoder: Optional[QueryEncoder] = None,
        *,
        ivf_pq_above: int = IVF_PQ_ABOVE,
    ) -> "GalleryIndex":
        """An index of embeddings ``(n, dim)`` with one entry each; the ids are 0..n-1."""
        if embedding.dim() != 2:
            raise ValueError(
                f"embedding must have shape (n, dim), got {tuple(embedding.shape)}"
            )
        index = cls(fingerprint, embedding.shape[1], encoder, ivf_pq_above=ivf_pq_above)
        index.add(embedding, entries)
        return index

    def __len__(self) -> int:
        with self._lock:
            return len(self._vectors)

    @property
    def kind(self) -> str:
        """``"flat"``, which is exact, or ``"ivf-pq"``."""
        return self._vectors.kind

    def add(self, embedding: Tensor, entries: Sequence[GalleryEntry]) -> List[int]:
        """Adds images.

        Args:
            embedding (Tensor): Shape ``(n, dim)``, floating; made unit vectors here.
            entries (Sequence[GalleryEntry]): One for each.

        Returns:
            List[int]: Their ids, in order.

        Raises:
            ValueError: If shapes do not fit, or an embedding is zero or not finite.
        """
        vectors = unit_vectors(embedding, self.dim)
        if len(vectors) != len(entries):
            raise ValueError(
                f"expected one entry for each embedding, got {len(vectors)} embeddings and {len(entries)} entries"
            )
        if not entries:
            return []
        with self._lock:
            ids = self._entries.add(entries)
            self._vectors.add(ids, vectors)
        return ids

    def remove(self, ids: Sequence[int]) -> None:
        """Removes images; all of them, or none if one is not there.

        Raises:
            ValueError: If an id is not in the index.
        """
        ids = sorted({int(number) for number in ids})
        with self._lock:
            absent = [
                i for i, found in zip(ids, self._entries.get(ids)) if found is None
            ]
            if absent:
                raise ValueError(
                    f"{len(absent)} of {len(ids)} ids are not in the index, such as {absent[0]}; nothing was removed"
                )
            if ids:
                self._entries.remove(ids)
                self._vectors.remove(ids)

    def find(self, path: str) -> List[int]:
        """The ids of the images of a path."""
        with self._lock:
            return self._entries.find(path)

    def items(self) -> Iterator[Tuple[int, GalleryEntry]]:
        """Every id with its entry, by id, as they are now."""
        with self._lock:
            return self._entries.items()

    def search(
        self,
        embedding: Optional[Tensor] = None,
        *,
        image: Optional[Tensor] = None,
        text: Optional[str] = None,
        top_k: int = 10,
    ) -> List[SearchHit]:
        """The images most similar to an embedding, or to an image, a caption, or both together.

        Args:
            embedding (Optional[Tensor]): Shape ``(dim,)``, in place of image and text. Default: ``None``
            image (Optional[Tensor]): uint8 image ``(3, h, w)`` of any size. Default: ``None``
            text (Optional[str]): A description. Default: ``None``
            top_k (int): How many at most. Default: 10

        Returns:
            List[SearchHit]: Most similar first; fewer than ``top_k`` if the gallery has no more.

        Raises:
            ValueError: If nothing or too much is given to search with, or the index has no encoder.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        if (embedding is None) == (image is None and text is None):
            raise ValueError(
                "give an image, a text or both to search with, or else an embedding"
            )
        if embedding is None:
            if self.encoder is None:
                raise ValueError(
                    "this index has no encoder to search by image or text; give it one, or search by embedding"
                )
            embedding = self.encoder.encode(image, text)
        query = unit_vectors(embedding[None], self.dim)
        with self._lock:
            top_k = min(top_k, len(self._vectors))
            if top_k == 0:
                return []
            similarity, ids = (row[0] for row in self._vectors.search(query, top_k))
            entries = self._entries.get(ids.tolist())
        return [
            SearchHit(int(number), entry, float(value))
            for number, entry, value in zip(ids, entries, similarity)
            if entry is not None
        ]

    def save(self, path: Union[str, Path]) -> Path:
        """Writes a directory that is whole or stays as it was.

        Raises:
            CheckpointError: If the disk has too little room.
        """
        path = Path(path)
        with self._lock:
            with replace_directory(path, 4 * self.dim * len(self._vectors)) as folder:
                self._vectors.save(folder / VECTORS)
                self._entries.save(folder / ENTRIES)
                write_manifest(
                    folder,
                    fingerprint=self.fingerprint,
                    dim=self.dim,
                    kind=self.kind,
                    count=len(self._vectors),
                )
        return path

    @classmethod
    def load(
        cls,
        path: Union[str, Path],
        fingerprint: str,
        encoder: Optional[QueryEncoder] = None,
        *,
        ivf_pq_above: int = IVF_PQ_ABOVE,
    ) -> "GalleryIndex":
        """Reads a directory of :meth:`save`.

        Args:
            path (Union[str, Path]): The directory.
            fingerprint (str): Of the model that will make the queries.
            encoder (Optional[QueryEncoder]): The model. Default: ``None``
            ivf_pq_above (int): As for the class. Default: 1,000,000

        Raises:
            ValueError: If there is no index, it is not whole, or another model made its embeddings.
        """
        path = Path(path)
        restore_directory(path)
        manifest = read_manifest(path)
        check_fingerprint(manifest["fingerprint"], fingerprint, f"the index {path}")
        check_files(path, manifest)
        index = cls(fingerprint, manifest["dim"], encoder, ivf_pq_above=ivf_pq_above)
        index._vectors = VectorStore.load(
            path / VECTORS, manifest["dim"], manifest["kind"], ivf_pq_above
        )
        index._entries = EntryTable(path / ENTRIES)
        return index
