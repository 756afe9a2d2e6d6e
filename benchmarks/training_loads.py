# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The pretraining steps whose cost is computed: real sizes and configurations, random pixels and words."""

from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import (
    Any,
    Callable,
    ContextManager,
    Dict,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)
from unittest.mock import patch

import torch
from examples.common.config import load_config
from examples.common.training_step import LossFunction, sum_losses
from examples.mmet.definitions import PretrainConfig
from examples.mmet.losses import PretrainingLosses
from examples.vtbr.pretrain_definitions import VTBRPretrainConfig
from torch import nn, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.models.mmet import mmet_base
from torchmultimodal_reid.models.mmet_pretraining import (
    mmet_for_pretraining,
    multimodal_masking,
)
from torchmultimodal_reid.models.saved_vtbr import VTBR_MODELS
from torchmultimodal_reid.modules.losses import summed_cross_entropy
from torchmultimodal_reid.modules.losses.captioning import CaptioningLoss
from torchmultimodal_reid.transforms.image import Normalize
from torchmultimodal_reid.utils.summary import count_flops

CONFIGS = Path(__file__).parents[1] / "examples"
MMET_CONFIG = CONFIGS / "mmet" / "configs" / "market1501_pretrain.yaml"
VTBR_CONFIG = CONFIGS / "vtbr" / "configs" / "base_bicaptioning_r50_l1_h1024.yaml"
Kernel = Callable[[], ContextManager[None]]
FIRST_WORD = 1000  # ids below it have other uses in BERT's vocabulary


class Load(NamedTuple):
    """What a training computes at each step."""

    model: nn.Module
    inputs: Callable[[PersonBatch], Dict[str, Any]]  # what the model is called with
    losses: LossFunction
    weights: Dict[str, float]
    make_batch: Callable[[int], PersonBatch]  # of so many samples


def mmet_config(*more: str) -> PretrainConfig:
    arguments = ["--config", str(MMET_CONFIG), "data.root=ROOT", "output=OUTPUT"]
    return load_config(PretrainConfig, [*arguments, *more])[0]


def vtbr_config() -> VTBRPretrainConfig:
    arguments = ["--config", str(VTBR_CONFIG), "data.root=ROOT", "output=OUTPUT"]
    return load_config(VTBRPretrainConfig, arguments)[0]


def mmet_load(mode: str, kind: str, tokens: int) -> Load:
    """MMET-base with the losses and mean mask ratios of its configuration.

    Args:
        mode (str): "replace" or "drop".
        kind (str): What a step has: "paired", "image" or "text".
        tokens (int): Of a caption.
    """
    config = mmet_config(f"masking.mode={mode}")
    ratios = (config.masking.patch_ratio, config.masking.token_ratio)
    patch_ratio, token_ratio = ((sum(ends) / 2,) * 2 for ends in ratios)
    masking = multimodal_masking(
        patch_ratio=patch_ratio,
        token_ratio=token_ratio,
        block_wise=config.masking.block_wise,
    )
    model = mmet_for_pretraining(mmet_base(masking=masking), masked_stream=mode)
    normalize = Normalize(config.image.mean, config.image.std)
    losses = PretrainingLosses(normalize, config.losses, 0, model.draw_mask)

    def inputs(batch: PersonBatch) -> Dict[str, Any]:
        return {
            "image": None if batch.image is None else normalize(batch.image),
            "text": batch.text,
            "identity": batch.identity,
            # drawn before: fvcore cannot follow how
            "mask": model.draw_mask(batch.image, batch.text),
        }

    size = None if kind == "text" else config.image.size
    length = None if kind == "image" else tokens
    return Load(
        model,
        inputs,
        losses,
        config.losses,
        lambda count: random_batch(count, size, length, config.text.vocab_size),
    )


def vtbr_load(tokens: int) -> Load:
    """VTBR's base setting R_50_L1_H1024: captions forwards and backwards."""
    config = vtbr_config()
    builder, arguments = VTBR_MODELS[config.model.name]
    normalize = Normalize(config.image.mean, config.image.std)
    loss = CaptioningLoss()

    def inputs(batch: PersonBatch) -> Dict[str, Any]:
        return {"image": normalize(batch.image), "text": batch.text}

    def losses(model: nn.Module, batch: PersonBatch, step: int) -> Dict[str, Tensor]:
        return {"captions": loss(*model(**inputs(batch))).total}

    vocab_size = config.text.vocab_size
    return Load(
        builder(**arguments, vocab_size=vocab_size),
        inputs,
        losses,
        {"captions": 1.0},
        lambda count: random_batch(count, config.image.size, tokens, vocab_size),
    )


def random_batch(
    count: int, size: Optional[Tuple[int, int]], tokens: Optional[int], vocab_size: int
) -> PersonBatch:
    """Samples of as many persons."""
    generator = torch.Generator().manual_seed(0)
    draw: Any = lambda low, high, shape, dtype: torch.randint(
        low, high, shape, generator=generator, dtype=dtype
    )
    image = text = padding = None
    if size is not None:
        image = draw(0, 256, (count, 3, *size), torch.uint8)
    if tokens is not None:
        text = draw(FIRST_WORD, vocab_size, (count, tokens), torch.long)
        padding = torch.zeros(count, tokens, dtype=torch.bool)
    index = torch.arange(count)
    return PersonBatch(image, text, padding, index, index, index)


def each_apart(work: Callable[..., Any], jobs: Sequence[Sequence[Any]]) -> List[Any]:
    """Results of ``work`` on each job's arguments, each in a process of its own: fvcore keeps models that it traced."""
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.starmap(work, jobs, chunksize=1)


def multiply_adds(load: Load, count: int = 2) -> int:
    """Multiply-adds of a sample's forward pass, second passes and heads included, counted by fvcore."""
    return round(count_flops(load.model, load.inputs(load.make_batch(count))) / count)


def operations(load: Load, count: int = 2) -> int:
    """Operations of torch that a step's forward and backward pass start on a GPU, views of tensors left out."""
    batch = load.make_batch(count)
    # a processor's cross-entropy is in more parts
    gpus = patch.object(summed_cross_entropy, "CPU_PART", summed_cross_entropy.PART)
    with gpus, _Counter() as counter:
        forward(load, batch).backward()
    load.model.zero_grad()
    return counter.count


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        returned = [value.alias_info for value in func._schema.returns]
        is_view = any(alias is not None and not alias.is_write for alias in returned)
        self.count += not is_view
        return func(*args, **(kwargs or {}))


def kept_bytes(load: Load, count: int = 2, kernel: Kernel = nullcontext) -> int:
    """Bytes that autograd keeps of a sample for the backward pass, under bfloat16 autocast.

    That of twice ``count`` samples less that of ``count``: what is kept once, such as weights in half precision, drops
    out.

    Args:
        load (Load): The step.
        count (int): Samples. Default: 2
        kernel (Kernel): A context that chooses how attention is computed. Default: torch chooses, by its flash kernel,
            as on a GPU.
    """
    one, two = (_all_kept(load, size, kernel) for size in (count, 2 * count))
    return round((two - one) / count)


def _all_kept(load: Load, count: int, kernel: Kernel) -> int:
    weights = {part.untyped_storage().data_ptr() for part in load.model.parameters()}
    found: Dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = load.make_batch(count)
    load.model.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        total = forward(load, batch, kernel)
    del total  # until here everything that was kept was alive: no address was used twice
    return sum(found.values())


def forward(load: Load, batch: PersonBatch, kernel: Kernel = nullcontext) -> Tensor:
    """The weighted sum of the losses, under bfloat16 autocast on the CPU."""
    with torch.autocast("cpu", dtype=torch.bfloat16), kernel():
        losses = load.losses(load.model, batch, 0)
    return sum_losses(losses, load.weights)
