# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The captioners that :mod:`benchmarks.vtbr_step` compares: the published formulation, and the library's."""

from contextlib import nullcontext
from typing import Callable, ContextManager, Dict, NamedTuple

import torch
from torch import nn, Tensor
from torch.nn import functional as F
from torchmultimodal_reid.architectures.captioner import reverse_captions
from torchmultimodal_reid.models.vtbr import cnn_grid, load_virtex, vtbr
from torchmultimodal_reid.modules.layers.attention_kernel import attention_kernel
from torchmultimodal_reid.modules.losses.captioning import CaptioningLoss

CLS, SEP, FIRST_WORD = 2, 3, 5
CHANNELS = {"resnet18": 512, "resnet50": 2048}


class Size(NamedTuple):
    """Of the models and of their batches; the paper's base setting but for the batch."""

    backbone: str = "resnet50"
    height: int = 256
    width: int = 128
    batch: int = 16
    d_model: int = 1024
    heads: int = 16
    vocab: int = 10_000
    shortest: int = 15  # tokens of a caption
    longest: int = 40


class Batch(NamedTuple):
    image: Tensor
    text: Tensor  # (b, longest), padded with 0


def make_batch(size: Size, device: torch.device) -> Batch:
    """Random pixels and words, captions of all lengths between the shortest and the longest, which is there."""
    generator = torch.Generator().manual_seed(0)
    shape = (size.batch, size.longest)
    text = torch.randint(FIRST_WORD, size.vocab, shape, generator=generator)
    lengths = torch.linspace(size.shortest, size.longest, size.batch).round().long()
    position = torch.arange(size.longest)
    text[:, 0] = CLS
    text[position == lengths[:, None] - 1] = SEP
    text[position >= lengths[:, None]] = 0
    image = torch.randn(size.batch, 3, size.height, size.width, generator=generator)
    return Batch(image.to(device), text.to(device))


class PublishedHead(nn.Module):
    """One direction as published: torch's decoder over padded captions, logits of every position."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        d_model = size.d_model
        self.visual_projection = nn.Linear(CHANNELS[size.backbone], d_model)
        self.embedding = nn.Module()
        self.embedding.words = nn.Embedding(size.vocab, d_model, padding_idx=0)
        self.embedding.positions = nn.Embedding(size.longest, d_model)
        self.embedding.layer_norm = nn.LayerNorm(d_model, eps=1e-8)
        layer = nn.TransformerDecoderLayer(
            d_model, size.heads, 4 * d_model, 0.1, activation="gelu", batch_first=True
        )
        self.transformer = nn.TransformerDecoder(layer, 1)
        self.output = nn.Linear(d_model, size.vocab)
        self.output.weight = self.embedding.words.weight

    def forward(self, grid: Tensor, text: Tensor) -> Tensor:
        cells = self.visual_projection(grid.flatten(2).transpose(1, 2))
        length, padding = text.shape[1], text == 0
        place = torch.arange(length, device=text.device)
        words = self.embedding.words(text) + self.embedding.positions(place)
        tokens = self.embedding.layer_norm(words) * ~padding.unsqueeze(-1)
        future = torch.ones(length, length, dtype=torch.bool, device=text.device)
        hidden = self.transformer(
            tokens, cells, tgt_mask=future.triu(1), tgt_key_padding_mask=padding
        )
        logits = self.output(hidden)[:, :-1].flatten(0, 1)
        return F.cross_entropy(logits.float(), text[:, 1:].flatten(), ignore_index=0)


class Published(nn.Module):
    """VirTex's formulation (https://arxiv.org/abs/2006.06666): a pass of the decoder for each direction."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.visual = nn.Module()
        self.visual.cnn = cnn_grid(size.backbone)
        self.textual = PublishedHead(size)
        self.backward_textual = PublishedHead(size)
        for shared in ("visual_projection", "embedding", "output"):
            setattr(self.backward_textual, shared, getattr(self.textual, shared))

    def forward(self, batch: Batch) -> Tensor:
        grid = self.visual.cnn(batch.image)
        mirrored = reverse_captions(batch.text, batch.text == 0)
        return self.textual(grid, batch.text) + self.backward_textual(grid, mirrored)


class Ours(nn.Module):
    """The library's: both directions embedded and predicted in one pass, logits of the tokens that count."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.model = vtbr(
            image_size=(size.height, size.width),
            backbone=size.backbone,
            vocab_size=size.vocab,
            max_text_length=size.longest,
            d_model=size.d_model,
            n_head=size.heads,
            dim_feedforward=4 * size.d_model,
        )
        self.loss = CaptioningLoss()

    def forward(self, batch: Batch) -> Tensor:
        output = self.model(batch.image, batch.text, batch.text == 0)
        return self.loss(*output).total


class Contender(NamedTuple):
    model: nn.Module
    channels_last: bool
    kernel: Callable[[torch.device], ContextManager[None]]


def any_kernel(device: torch.device) -> ContextManager[None]:
    """Torch chooses how attention is computed."""
    return nullcontext()


def contenders(size: Size, device: torch.device) -> Dict[str, Contender]:
    """All with the same weights: as published; the library's model alone; and as the recipes train it."""
    torch.manual_seed(0)
    published = Published(size)
    found = {"published": Contender(published, False, any_kernel)}
    for name, last, kernel in (
        ("one pass", False, any_kernel),
        ("as the recipes", True, attention_kernel),
    ):
        model = Ours(size)
        load_virtex(model.model, virtex_names(published))
        if last:
            model = model.to(memory_format=torch.channels_last)
        found[name] = Contender(model, last, kernel)
    for contender in found.values():
        contender.model.to(device).train()
    return found


def virtex_names(published: Published) -> Dict[str, Tensor]:
    """The state under the names of VirTex's files."""
    state = published.state_dict()
    return {key.replace("visual.cnn.cnn.", "visual.cnn."): state[key] for key in state}


def step(contender: Contender, batch: Batch, precision: torch.dtype) -> float:
    """Forward and backward; the loss."""
    image = batch.image
    if contender.channels_last:
        image = image.to(memory_format=torch.channels_last)
    half = precision != torch.float32
    with (
        torch.autocast(image.device.type, precision, enabled=half),
        contender.kernel(image.device),
    ):
        loss = contender.model(batch._replace(image=image))
    loss.backward()
    contender.model.zero_grad()
    return loss.item()
