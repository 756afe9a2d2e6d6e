# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


import hashlib
import json
import threading
from pathlib import Path
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

import numpy as np
import torch
from torch import Tensor
from torchmultimodal_reid.search.entries import EntryTable, GalleryEntry
from torchmultimodal_reid.search.vectors import IVF_PQ_ABOVE, VectorStore
from torchmultimodal_reid.utils.atomic import replace_directory, restore_directory

FORMAT = 1
MANIFEST, VECTORS, ENTRIES = "index.json", "vectors.faiss", "entries.sqlite"


class QueryEncoder(Protocol):
    """A model that puts images and captions into one space."""

    @property
    def fingerprint(self) -> str:
        """Differs between models whose embeddings must not be mixed, such as the hash of the weights."""
        ...

    def encode(self, image: Optional[Tensor], text: Optional[str]) -> Tensor:
        """The embedding ``(dim,)`` of an image ``(3, h, w)``, uint8, of a caption, or of both together."""
        ...


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
        vectors = self._unit(embedding)
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
        query = self._unit(embedding[None])
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
                manifest = {
                    "format": FORMAT,
                    "fingerprint": self.fingerprint,
                    "dim": self.dim,
                    "kind": self.kind,
                    "count": len(self._vectors),
                    "sha256": {
                        name: _sha256(folder / name) for name in (VECTORS, ENTRIES)
                    },
                }
                (folder / MANIFEST).write_text(json.dumps(manifest, indent=2))
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
        manifest = _read_manifest(path)
        check_fingerprint(manifest["fingerprint"], fingerprint, f"the index {path}")
        for name, expected in manifest["sha256"].items():
            if not (path / name).is_file() or _sha256(path / name) != expected:
                raise ValueError(
                    f"{path / name} is missing, cut short or altered; delete {path} and build the index again"
                )
        index = cls(fingerprint, manifest["dim"], encoder, ivf_pq_above=ivf_pq_above)
        index._vectors = VectorStore.load(
            path / VECTORS, manifest["dim"], manifest["kind"], ivf_pq_above
        )
        index._entries = EntryTable(path / ENTRIES)
        return index

    def _unit(self, embedding: Tensor) -> np.ndarray:
        if embedding.dim() != 2 or embedding.shape[1] != self.dim:
            raise ValueError(
                f"embeddings of this index have {self.dim} numbers, got shape {tuple(embedding.shape)}"
            )
        vectors = embedding.detach().float().cpu()
        norm = vectors.norm(dim=1, keepdim=True)
        if not bool((torch.isfinite(norm) & (norm > 0)).all()):
            raise ValueError(
                "an embedding is zero, NaN or infinite: it has no direction"
            )
        return (vectors / norm).numpy()


def check_fingerprint(built: str, given: str, what: str) -> None:
    """Raises a ValueError unless an index was built with the model that is given."""
    if built != given:
        raise ValueError(
            f"{what} was built with another model (fingerprint {built[:12]}, this one's is {given[:12]}), so its "
            "vectors and these queries have nothing to do with each other; build it again with this model"
        )


def _read_manifest(path: Path) -> Dict[str, Any]:
    restore_directory(path)
    file = path / MANIFEST
    if not file.is_file():
        raise ValueError(f"{path} is no gallery index: it has no {MANIFEST}")
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        found = manifest["format"]
        absent = {"fingerprint", "dim", "kind", "sha256"} - set(manifest)
        if absent:
            raise KeyError(*absent)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is cut short or altered; delete {path} and build the index again"
        ) from error
    if found != FORMAT:
        raise ValueError(
            f"{file} has format {found}, expected {FORMAT}: another release wrote it; build the index again"
        )
    return manifest


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
