# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


import importlib
import math
from pathlib import Path
from typing import Any, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

FLAT, IVF_PQ = "flat", "ivf-pq"
IVF_PQ_ABOVE = 1_000_000  # vectors; up to here every one is compared
_TRAINING_VECTORS = 200_000
_PQ_BITS = 8  # a codebook of 256 entries, which needs at least as many vectors


def load_faiss() -> Any:
    """The FAISS library, which only searching needs.

    Raises:
        ValueError: If it is not installed.
    """
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise ValueError(
            'searching needs FAISS: pip install "torchmultimodal-reid[search]", or faiss-cpu'
        ) from error


def unit_vectors(embedding: Tensor, dim: int) -> np.ndarray:
    """Embeddings ``(n, dim)`` as float32 vectors of length 1.

    Raises:
        ValueError: If the shape is another, or an embedding is zero or not finite.
    """
    if embedding.dim() != 2 or embedding.shape[1] != dim:
        raise ValueError(
            f"embeddings of this index have {dim} numbers, got shape {tuple(embedding.shape)}"
        )
    vectors = embedding.detach().float().cpu()
    norm = vectors.norm(dim=1, keepdim=True)
    if not bool((torch.isfinite(norm) & (norm > 0)).all()):
        raise ValueError("an embedding is zero, NaN or infinite: it has no direction")
    return (vectors / norm).numpy()


class VectorStore:
    """Unit vectors by id in a FAISS index: exact up to a number of vectors, inverted lists of product codes beyond it.

    Reference: https://arxiv.org/abs/2401.08281. A flat index compares the query with every vector. An IVF-PQ index
    looks at a sixteenth of its lists, at least eight, in which two dimensions of a vector take one byte; what it finds
    and its similarities are approximate. It is trained once, when the threshold is passed, and stays one.

    Args:
        dim (int): Dimension of the vectors.
        ivf_pq_above (int): Number of vectors beyond which it becomes an IVF-PQ index. Default: 1,000,000

    Raises:
        ValueError: If the threshold is below the 256 vectors that product codes are trained on.
    """

    def __init__(self, dim: int, ivf_pq_above: int = IVF_PQ_ABOVE) -> None:
        if ivf_pq_above < 2**_PQ_BITS:
            raise ValueError(
                f"ivf_pq_above must be at least {2 ** _PQ_BITS}, got {ivf_pq_above}"
            )
        self.dim = dim
        self.ivf_pq_above = ivf_pq_above
        self.kind = FLAT
        self._faiss = load_faiss()
        self._index = self._faiss.IndexIDMap2(self._faiss.IndexFlatIP(dim))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, ids: Sequence[int], vectors: np.ndarray) -> None:
        """Adds vectors of shape ``(n, dim)``, float32, of length 1, under ids that are not there yet."""
        numbers = np.asarray(ids, dtype=np.int64)
        self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), numbers)
        if self.kind == FLAT and len(self) > self.ivf_pq_above:
            self._become_ivf_pq()

    def remove(self, ids: Sequence[int]) -> int:
        """Removes vectors, and says how many were there."""
        return int(self._index.remove_ids(np.asarray(ids, dtype=np.int64)))

    def search(self, queries: np.ndarray, top_k: int) -> Tuple[np.ndarray, np.ndarray]:
        """The most similar vectors of each query ``(q, dim)``.

        Returns:
            Tuple[np.ndarray, np.ndarray]: Similarities, float32, and ids, int64, both ``(q, top_k)``, best first, equal
            ones by id; -1 as id where there are no more.
        """
        similarity, ids = self._index.search(
            np.ascontiguousarray(queries, np.float32), top_k
        )
        order = np.lexsort((ids, -similarity), axis=1)
        return (
            np.take_along_axis(similarity, order, 1),
            np.take_along_axis(ids, order, 1),
        )

    def save(self, path: Path) -> None:
        """Writes the index as a file of FAISS."""
        self._faiss.write_index(self._index, str(path))

    @classmethod
    def load(
        cls, path: Path, dim: int, kind: str, ivf_pq_above: int = IVF_PQ_ABOVE
    ) -> "VectorStore":
        """Reads what :meth:`save` wrote."""
        store = cls(dim, ivf_pq_above)
        store._index = store._faiss.read_index(str(path))
        store.kind = kind
        return store

    def _become_ivf_pq(self) -> None:
        count = len(self)
        flat = self._faiss.downcast_index(self._index.index)
        vectors = flat.reconstruct_n(0, count)
        ids = self._faiss.vector_to_array(self._index.id_map)
        lists = max(1, min(int(4 * math.sqrt(count)), count // 39))
        codes = self.dim // 2 if self.dim % 2 == 0 else self.dim
        # np: no polysemous training, which takes minutes and serves a search by Hamming distance only
        index = self._faiss.index_factory(
            self.dim,
            f"IVF{lists},PQ{codes}x{_PQ_BITS}np",
            self._faiss.METRIC_INNER_PRODUCT,
        )
        # evenly spread: the first ones may all be of one camera
        step = max(1, count // _TRAINING_VECTORS)
        index.train(np.ascontiguousarray(vectors[::step]))
        index.add_with_ids(vectors, ids)
        index.nprobe = min(lists, max(8, lists // 16))
        self._index, self.kind = index, IVF_PQ
