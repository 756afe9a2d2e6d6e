# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Data sets that were cut from one another: to learn from one and test on another is no test on new people."""

from typing import NamedTuple, Optional, Tuple


class SharedPeople(NamedTuple):
    """Data sets of which each shares people or images with the first, and what their authors say of it.

    Args:
        first (str): A data set.
        others (Tuple[str, ...]): Those that share people with it.
        reason (str): Why, a sentence.
    """

    first: str
    others: Tuple[str, ...]
    reason: str


_MSMT17 = "ICFG-PEDES and RSTPReid are captioned images of MSMT17"

# what the readers cannot see: names and numbers differ between the copies
SHARED_PEOPLE: Tuple[SharedPeople, ...] = (
    SharedPeople(
        "dukemtmc",
        ("occluded_duke",),
        "Occluded-DukeMTMC is another cut of DukeMTMC-reID, the same people under the same cameras",
    ),
    SharedPeople(
        "cuhk03",
        ("cuhk03_classic",),
        "both are CUHK03, cut into parts in two ways",
    ),
    SharedPeople("msmt17", ("icfg_pedes", "rstpreid"), _MSMT17),
    SharedPeople("icfg_pedes", ("rstpreid",), _MSMT17),
    SharedPeople(
        "cuhk_pedes",
        ("cuhk03", "cuhk03_classic", "market1501", "cuhk_sysu", "viper"),
        "CUHK-PEDES is captioned images of CUHK03, Market-1501, CUHK-SYSU, VIPeR and CUHK01, cut into parts of its own",
    ),
)


def why_not_new(source: str, target: str) -> Optional[str]:
    """Why people of a target are not new to a model that learned from a source; None if nothing says so.

    Args:
        source (str): Name of a data set.
        target (str): Name of another one.
    """
    for first, others, reason in SHARED_PEOPLE:
        if (source == first and target in others) or (
            target == first and source in others
        ):
            return reason
    return None
