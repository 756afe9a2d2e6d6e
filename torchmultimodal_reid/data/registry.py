# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import difflib
import inspect
from typing import Any, Dict

from torchmultimodal_reid.data import (
    captions_tsv,
    clonedperson,
    cuhk02,
    cuhk03,
    cuhk03_classic,
    cuhk_pedes,
    cuhk_sysu,
    custom,
    dukemtmc,
    finegpr,
    grid,
    icfg_pedes,
    ilids,
    ilids_vid,
    luperson_mllm,
    market1501,
    msmt17,
    occluded_duke,
    personx,
    prid2011,
    randperson,
    rstpreid,
    synth_pedes,
    unlabelled,
    viper,
)
from torchmultimodal_reid.data.dataset_info import DatasetInfo
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import ReIDSplit

# One line a data set, in the order of docs/datasets.md. A reader's file says everything about it in INFO.
DATASETS: Dict[str, DatasetInfo] = {
    info.name: info
    for info in (
        market1501.INFO,
        msmt17.INFO,
        cuhk03.INFO,
        cuhk03_classic.INFO,
        cuhk02.INFO,
        cuhk_sysu.INFO,
        viper.INFO,
        prid2011.INFO,
        grid.INFO,
        ilids.INFO,
        ilids_vid.INFO,
        dukemtmc.INFO,
        occluded_duke.INFO,
        personx.INFO,
        randperson.INFO,
        clonedperson.INFO,
        finegpr.INFO,
        unlabelled.INFO,
        cuhk_pedes.INFO,
        icfg_pedes.INFO,
        rstpreid.INFO,
        synth_pedes.INFO,
        luperson_mllm.INFO,
        captions_tsv.INFO,
        custom.INFO,
    )
}


def dataset_info(name: str) -> DatasetInfo:
    """The table's line of a data set.

    Raises:
        DataError: If there is none of that name; tells the nearest.
    """
    info = DATASETS.get(name)
    if info is not None:
        return info
    simple = name.lower().replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(simple, DATASETS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise DataError(
        f"no reader for a data set {name!r}; {hint}There are {', '.join(DATASETS)}"
    )


def read_dataset(name: str, root: str, **options: Any) -> ReIDSplit:
    """Reads a data set by its name in the table, ``docs/datasets.md``.

    Args:
        name (str): Such as ``"market1501"``.
        root (str): The folder, as the reader takes it.
        **options (Any): Options of the reader, such as ``captions``.

    Returns:
        ReIDSplit: What the reader returns.

    Raises:
        DataError: If there is no reader of that name (tells the nearest), or it has no such option; and what the reader
            raises.
    """
    reader = dataset_info(name).reader
    known = [p for p in inspect.signature(reader).parameters if p != "root"]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise DataError(
            f"the reader of {name} has no option {', '.join(unknown)}; it has {', '.join(known)}"
        )
    return reader(root, **options)
