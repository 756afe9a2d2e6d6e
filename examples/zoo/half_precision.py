# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Weights in half the bytes, and what that changes."""

from typing import Any, Dict, List, Set

import torch
from torch import nn, Tensor
from torchmultimodal_reid.models.loading import Loaded

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
ROWS = 16  # random inputs that two models are compared on


def shipped_state(loaded: Loaded, dtype: torch.dtype) -> Dict[str, Tensor]:
    """The weights of a model as the zoo stores them.

    Matrices and kernels are rounded to ``dtype``; vectors (biases, norms, their running statistics), which are a
    hundredth of the bytes and have small numbers in them, stay as they are. Tied weights are stored once. Heads of a
    pretraining, which nothing that is loaded needs, are not in it.

    Raises:
        ValueError: If a weight is too large for ``dtype``.
    """
    # a pretraining's checkpoint holds MMET as a part of itself
    prefix = "mmet." if loaded.kind == "mmet" else ""
    state: Dict[str, Tensor] = {}
    seen: Set[int] = set()
    for name, tensor in loaded.model.state_dict().items():
        if tensor.numel() and tensor.data_ptr() in seen:
            continue
        seen.add(tensor.data_ptr())
        state[prefix + name] = _rounded(name, tensor, dtype)
    return state


def _rounded(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if not tensor.is_floating_point() or tensor.ndim < 2:
        return tensor
    rounded = tensor.to(dtype)
    if not rounded.isfinite().all():
        raise ValueError(
            f"{name} has a value of {tensor.abs().max():.3g}, which {dtype} cannot hold (at most "
            f"{torch.finfo(dtype).max:.3g}); use --dtype bfloat16, or look at the training if it is not finite"
        )
    return rounded


@torch.no_grad()
def smallest_cosine(first: Loaded, second: Loaded) -> float:
    """How alike the outputs of two models are: the smallest cosine of any row, over random images and captions.

    Args:
        first (Loaded), second (Loaded): Models of one description.
    """
    pairs = zip(_outputs(first), _outputs(second))
    cosines = [nn.functional.cosine_similarity(a, b, dim=-1).min() for a, b in pairs]
    return float(torch.stack(cosines).min())


def _outputs(loaded: Loaded) -> List[Tensor]:
    model: Any = loaded.model
    description: Any = loaded.description
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(ROWS, 3, *description.image_size, generator=generator)
    if loaded.kind == "reid_baseline":
        return [model.embed(image)]
    assert loaded.tokenizer is not None
    shape = (ROWS, min(description.max_text_length, 12))
    text = torch.randint(loaded.tokenizer.vocab_size, shape, generator=generator)
    text[text == loaded.tokenizer.pad_id] = loaded.tokenizer.unk_id
    if loaded.kind == "mmet_for_reid":
        return [model.embed(image), model.embed(text=text), model.embed(image, text)]
    if loaded.kind == "mmet":
        return [model(image, text).multimodal]
    output = model(image, text)
    logits = (output.forward_logits, output.backward_logits)
    return [part for part in logits if part is not None]
