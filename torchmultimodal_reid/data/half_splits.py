# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Random splits of identities, for the data sets whose protocol is the average of ten of them."""

from typing import Collection, Iterable, NamedTuple, Optional, Tuple

from torchmultimodal_reid.data.errors import DataError, listed
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.utils.seeding import derive_seed

# rises whenever the same seed would give another split
RULE_VERSION = 1


class IdentitySplit(NamedTuple):
    """Which identities to train on and which to test on, both sorted.

    Args:
        train (Tuple[int, ...]): Identities of the training part.
        test (Tuple[int, ...]): Identities of the query and gallery parts.
    """

    train: Tuple[int, ...]
    test: Tuple[int, ...]


def half_split(
    identities: Iterable[int], *, split: int, seed: int = 0, num_train: int = -1
) -> IdentitySplit:
    """Draws the identities to train on. The same on every machine and with every release of Python and torch.

    The identities are ordered by ``derive_seed(seed, "half split", split, identity)``, a hash, and the first are
    taken. No generator is involved, whose stream a release might change.

    Args:
        identities (Iterable[int]): All of them; the order and repetitions do not matter.
        split (int): Number of the split, from 0.
        seed (int): Another seed gives another family of splits. Default: 0
        num_train (int): How many identities to train on. Default: half of them, rounded down

    Returns:
        IdentitySplit: Identities to train on and the others.

    Raises:
        ValueError: If ``split`` is negative, or nothing would be left to train or to test on.
    """
    unique = sorted(set(identities))
    if split < 0:
        raise ValueError(f"split must be 0 or more, got {split}")
    if num_train == -1:
        num_train = len(unique) // 2
    if not 0 < num_train < len(unique):
        raise ValueError(
            f"num_train must be at least 1 and less than the {len(unique)} identities, got {num_train}"
        )
    order = sorted(unique, key=lambda i: (derive_seed(seed, "half split", split, i), i))
    return IdentitySplit(
        tuple(sorted(order[:num_train])), tuple(sorted(order[num_train:]))
    )


def given_split(
    identities: Iterable[int], train: Collection[int], where: str
) -> IdentitySplit:
    """The split whose training identities someone else has drawn.

    Args:
        identities (Iterable[int]): All that can be split.
        train (Collection[int]): Those to train on; the others are for testing.
        where (str): Who says so, for the message.

    Raises:
        DataError: If ``train`` names identities that are not there, or leaves none to train or to test on.
    """
    unique = set(identities)
    unknown = sorted(set(train) - unique)
    if unknown:
        raise DataError(
            f"{where}: no images of identity {listed([str(i) for i in unknown])}; expected some of the {len(unique)} "
            f"identities {listed([str(i) for i in sorted(unique)])}"
        )
    if not train or len(set(train)) == len(unique):
        raise DataError(
            f"{where}: {len(set(train))} of {len(unique)} identities to train on; some must be left to train and to "
            "test on"
        )
    return IdentitySplit(tuple(sorted(set(train))), tuple(sorted(unique - set(train))))


def choose_split(
    identities: Iterable[int],
    *,
    split: int,
    split_seed: int,
    num_train: int = -1,
    train_identities: Optional[Collection[int]] = None,
) -> IdentitySplit:
    """``given_split`` if there are ``train_identities``, otherwise ``half_split``."""
    if train_identities is not None:
        return given_split(identities, train_identities, "train_identities")
    return half_split(identities, split=split, seed=split_seed, num_train=num_train)


def of_identities(
    images: Iterable[PersonImage],
    identities: Iterable[int],
    camera: Optional[int] = None,
) -> Tuple[PersonImage, ...]:
    """The images of some identities and, if given, of one camera."""
    wanted = set(identities)
    return tuple(
        image
        for image in images
        if image.identity in wanted and camera in (None, image.camera)
    )
