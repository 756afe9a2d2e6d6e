# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Person re-identification from images, captions or both, on TorchMultimodal.

What most programs need can be imported from here; everything else from the module that it is in.

Models with random weights, flat arguments in and a module out:
    ``mmet``, ``mmet_tiny``, ``mmet_small``, ``mmet_base``, ``mmet_flava_base``, ``mmet_clip_vit_b16``,
    ``mmet_for_pretraining``, ``mmet_for_reid``, ``reid_baseline``, ``vtbr``, ``vtbr_r18``, ``vtbr_r50``
Trained models:
    ``ReIDPipeline``: files, PIL images and captions in, embeddings or captions out; in one call, ``embed``, ``caption``
    ``load``: the model of a checkpoint, with its tokeniser and its description
    ``zoo_models``: the trained models that ship with the library, by the names that these take
Evaluation:
    ``evaluate_ranking``: CMC, mAP and mINP of a ranked gallery
    ``re_rank``: distances after k-reciprocal re-ranking, and ``evaluate_distances``, which takes them
Search:
    ``GalleryIndex`` of ``GalleryEntry``: build, save, add, remove, search

A name is imported when it is first used, so that ``import torchmultimodal_reid`` alone takes milliseconds.
"""

from importlib import import_module
from typing import Any, Dict, List, Tuple, TYPE_CHECKING

if TYPE_CHECKING:
    from torchmultimodal_reid.evaluation.ranking import (
        evaluate_distances,
        evaluate_ranking,
    )
    from torchmultimodal_reid.evaluation.re_ranking import re_rank
    from torchmultimodal_reid.models.clip import mmet_clip_vit_b16
    from torchmultimodal_reid.models.flava import mmet_flava_base
    from torchmultimodal_reid.models.loading import load
    from torchmultimodal_reid.models.mmet import (
        mmet,
        mmet_base,
        mmet_for_reid,
        mmet_small,
        mmet_tiny,
    )
    from torchmultimodal_reid.models.mmet_pretraining import mmet_for_pretraining
    from torchmultimodal_reid.models.reid_baseline import reid_baseline
    from torchmultimodal_reid.models.vtbr import vtbr, vtbr_r18, vtbr_r50
    from torchmultimodal_reid.models.zoo import zoo_models
    from torchmultimodal_reid.pipeline import ReIDPipeline
    from torchmultimodal_reid.search.entries import GalleryEntry
    from torchmultimodal_reid.search.gallery_index import GalleryIndex
    from torchmultimodal_reid.shortcuts import caption, embed

__version__ = "0.1.0"

# written out, since type checkers and editors read it without running it; a test compares the three lists
__all__ = [
    "GalleryEntry",
    "GalleryIndex",
    "ReIDPipeline",
    "caption",
    "embed",
    "evaluate_distances",
    "evaluate_ranking",
    "load",
    "mmet",
    "mmet_base",
    "mmet_clip_vit_b16",
    "mmet_flava_base",
    "mmet_for_pretraining",
    "mmet_for_reid",
    "mmet_small",
    "mmet_tiny",
    "re_rank",
    "reid_baseline",
    "vtbr",
    "vtbr_r18",
    "vtbr_r50",
    "zoo_models",
]

_NAMES_OF: Dict[str, Tuple[str, ...]] = {
    "evaluation.ranking": ("evaluate_distances", "evaluate_ranking"),
    "evaluation.re_ranking": ("re_rank",),
    "models.clip": ("mmet_clip_vit_b16",),
    "models.flava": ("mmet_flava_base",),
    "models.loading": ("load",),
    "models.mmet": ("mmet", "mmet_base", "mmet_for_reid", "mmet_small", "mmet_tiny"),
    "models.mmet_pretraining": ("mmet_for_pretraining",),
    "models.reid_baseline": ("reid_baseline",),
    "models.vtbr": ("vtbr", "vtbr_r18", "vtbr_r50"),
    "models.zoo": ("zoo_models",),
    "pipeline": ("ReIDPipeline",),
    "search.entries": ("GalleryEntry",),
    "search.gallery_index": ("GalleryIndex",),
    "shortcuts": ("caption", "embed"),
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names}


if not TYPE_CHECKING:  # a checker that sees it would believe in any name

    def __getattr__(name: str) -> Any:
        """Imports a name of the surface when it is first asked for (https://peps.python.org/pep-0562)."""
        if name in _MODULE_OF:
            value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
            globals()[name] = value  # the next time Python finds it by itself
            return value
        message = f"module {__name__!r} has no attribute {name!r}"
        if not name.startswith("_"):  # tools ask for such names and expect a quick no
            from difflib import get_close_matches

            for nearest in get_close_matches(name, __all__, n=1):
                message += f"; the nearest name is {nearest!r}"
        raise AttributeError(message)


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
