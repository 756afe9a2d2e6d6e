# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The pipeline's work in one call, for a session at the prompt."""

from pathlib import Path
from typing import List, Optional, Sequence, Union

from torch import Tensor
from torchmultimodal_reid.data.user_inputs import AnyImage
from torchmultimodal_reid.generation.protocols import Search
from torchmultimodal_reid.pipeline import ReIDPipeline


def embed(
    model: Union[str, Path, ReIDPipeline],
    images: Optional[Sequence[AnyImage]] = None,
    texts: Optional[Sequence[str]] = None,
) -> Tensor:
    """:meth:`ReIDPipeline.embed` of a checkpoint's path or name. It is loaded each time: for more than one call keep a
    :class:`ReIDPipeline`.

    Args:
        model (Union[str, Path, ReIDPipeline]): A checkpoint's folder, a name in the model zoo, or a pipeline.
        images (Optional[Sequence[AnyImage]]), texts (Optional[Sequence[str]]): See :meth:`ReIDPipeline.embed`.

    Returns:
        Tensor: float32 of shape ``(n, d)`` on the CPU, L2-normalised.
    """
    return _pipeline(model).embed(images, texts)


def caption(
    model: Union[str, Path, ReIDPipeline],
    images: Sequence[AnyImage],
    search: Optional[Search] = None,
) -> List[str]:
    """:meth:`ReIDPipeline.caption` of a checkpoint's path or name. It is loaded each time: for more than one call keep
    a :class:`ReIDPipeline`.

    Args:
        model (Union[str, Path, ReIDPipeline]): A checkpoint's folder, a name in the model zoo, or a pipeline.
        images (Sequence[AnyImage]), search (Optional[Search]): See :meth:`ReIDPipeline.caption`.
    """
    return _pipeline(model).caption(images, search)


def _pipeline(model: Union[str, Path, ReIDPipeline]) -> ReIDPipeline:
    if isinstance(model, ReIDPipeline):
        return model
    return ReIDPipeline.from_checkpoint(model)
