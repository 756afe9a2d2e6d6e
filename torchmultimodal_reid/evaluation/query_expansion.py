# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Optional, Union

import torch
from torch import Tensor
from torch.nn import functional
from torchmultimodal_reid.evaluation.distance import distance_chunks


def expand_queries(
    query_features: Tensor,
    gallery_features: Tensor,
    k: int = 5,
    alpha: float = 0.0,
    *,
    chunk_size: Optional[int] = None,
    device: Optional[Union[str, torch.device]] = None,
) -> Tensor:
    """Each query becomes the mean of itself and of its nearest gallery items, to be searched with again.

    With ``alpha`` 0 it is average query expansion (https://doi.org/10.1109/ICCV.2007.4408891). Else items count by
    their cosine to the power of ``alpha``, those of a negative cosine not at all (alpha-weighted query expansion,
    https://arxiv.org/abs/1711.02512, which takes ``alpha`` 3). No identity or camera is used: images that the camera
    filter drops later take part.

    Args:
        query_features (Tensor): Shape ``(q, d)``, any floating dtype. They are divided by their lengths first.
        gallery_features (Tensor): Shape ``(n, d)``, any floating dtype. Likewise.
        k (int): Gallery items beside the query; at most as many as there are. 0 changes no query but its length.
            Default: 5
        alpha (float): Power of the cosine that is an item's weight; at least 0. Default: 0.0
        chunk_size (Optional[int]): Queries at a time. Default: ``None``, as many as make 64 MiB of distances
        device (Optional[Union[str, torch.device]]): Where to compute. Default: ``None``, where the gallery is

    Returns:
        Tensor: Shape ``(q, d)``, float32, of length 1, on ``device``.

    Raises:
        ValueError: If shapes do not fit, a feature is NaN or infinite, or an option is out of its range.
    """
    return _expand(query_features, gallery_features, k, alpha, chunk_size, device)


def augment_gallery(
    gallery_features: Tensor,
    k: int = 5,
    alpha: float = 0.0,
    *,
    chunk_size: Optional[int] = None,
    device: Optional[Union[str, torch.device]] = None,
) -> Tensor:
    """Each gallery item becomes the mean of itself and of its nearest others (database-side feature augmentation).

    Reference: https://doi.org/10.1109/CVPR.2012.6248018. Weights as for :func:`expand_queries`. An item and its exact
    copies are nearest to it: they count among the ``k``, the item itself does once more.

    Args:
        gallery_features (Tensor): Shape ``(n, d)``, any floating dtype. They are divided by their lengths first.
        k (int): Others beside the item; at most as many as there are. Default: 5
        alpha (float): Power of the cosine that is an other's weight; at least 0. Default: 0.0
        chunk_size (Optional[int]): Items at a time. Default: ``None``, as many as make 64 MiB of distances
        device (Optional[Union[str, torch.device]]): Where to compute. Default: ``None``, where the gallery is

    Returns:
        Tensor: Shape ``(n, d)``, float32, of length 1, on ``device``.

    Raises:
        ValueError: If the shape is wrong, a feature is NaN or infinite, or an option is out of its range.
    """
    return _expand(
        gallery_features, gallery_features, k, alpha, chunk_size, device, is_self=True
    )


def _expand(
    query: Tensor,
    gallery: Tensor,
    k: int,
    alpha: float,
    chunk_size: Optional[int],
    device: Optional[Union[str, torch.device]],
    is_self: bool = False,
) -> Tensor:
    if k < 0:
        raise ValueError(f"k must be at least 0, got {k}")
    if not 0 <= alpha < float("inf"):
        raise ValueError(f"alpha must be finite and at least 0, got {alpha}")
    device = gallery.device if device is None else torch.device(device)
    query = query.detach().to(device)
    gallery = query if is_self else gallery.detach().to(device)
    expanded = torch.empty(query.shape, device=device)
    for start, distances in distance_chunks(query, gallery, chunk_size=chunk_size):
        rows = slice(start, start + len(distances))
        if is_self:
            # the item itself is added with weight 1, however its cosine is rounded
            own = torch.arange(rows.start, rows.stop, device=device)
            distances.scatter_(1, own[:, None], float("inf"))
        count = min(k, distances.shape[1] - is_self)
        index = nearest_columns(distances, count)
        weight = -distances.gather(1, index)
        weight = weight.clamp_min(0) ** alpha if alpha else torch.ones_like(weight)
        total = functional.normalize(query[rows].float(), dim=1)
        # one neighbour of every row at a time: all of them at once are k times the features
        for place in range(count):
            other = functional.normalize(gallery[index[:, place]].float(), dim=1)
            total += other.mul_(weight[:, place, None])
        expanded[rows] = functional.normalize(total, dim=1)
    return expanded


def nearest_columns(distances: Tensor, count: int) -> Tensor:
    """The columns of each row's ``count`` smallest entries, of equal ones the first, in the order of the columns.

    Args:
        distances (Tensor): Shape ``(r, n)``.
        count (int): At most ``n``.

    Returns:
        Tensor: Shape ``(r, count)``, long.
    """
    if count == 0:
        return torch.zeros(len(distances), 0, dtype=torch.long, device=distances.device)
    last = distances.kthvalue(count, dim=1, keepdim=True).values
    is_nearer = distances < last
    is_tied = distances == last
    free = count - is_nearer.sum(1, keepdim=True)
    is_taken = is_nearer | (is_tied & (is_tied.cumsum(1) <= free))
    return is_taken.nonzero()[:, 1].view(len(distances), count)
