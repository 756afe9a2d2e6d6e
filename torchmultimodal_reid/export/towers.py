# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What of a model is exported: one graph for each kind of query, from pixels and token ids to embeddings."""

from typing import Any, Dict, List, NamedTuple, Tuple

import torch
from torch import nn, Tensor
from torch.export import Dim
from torchmultimodal_reid.architectures.captioner import BidirectionalCaptioner
from torchmultimodal_reid.architectures.mmet_reid import MMETForReID
from torchmultimodal_reid.architectures.reid import ReIDModel
from torchmultimodal_reid.models.loading import Loaded
from torchmultimodal_reid.transforms.image import Normalize

SHORTEST = 3  # tokens of a caption: [CLS], a piece, [SEP]


class ImageTower(nn.Module):
    """Images to embeddings, with the normalisation inside: nobody can forget it or do it twice.

    Args:
        model (nn.Module): With ``embed(image=...)``.
        normalize (Normalize): The model's.

    Inputs:
        image (Tensor): uint8 of shape ``(b, 3, h, w)``, of the model's size.

    Returns:
        Tensor: float32 of shape ``(b, d)``, L2-normalised.
    """

    def __init__(self, model: nn.Module, normalize: Normalize) -> None:
        super().__init__()
        self.model: Any = model
        self.normalize = normalize

    def forward(self, image: Tensor) -> Tensor:
        return self.model.embed(image=self.normalize(image))


class TextTower(nn.Module):
    """Captions to embeddings. Where padding is follows from the ids, as the tokeniser makes that id for nothing else.

    Args:
        model (MMETForReID): The model.
        pad_id (int): Token id of padding.

    Inputs:
        text (Tensor): Token ids, long, of shape ``(b, s)``, padded behind.

    Returns:
        Tensor: float32 of shape ``(b, d)``, L2-normalised.
    """

    def __init__(self, model: MMETForReID, pad_id: int) -> None:
        super().__init__()
        self.model = model
        self.pad_id = pad_id

    def forward(self, text: Tensor) -> Tensor:
        return self.model.embed(text=text, text_padding=text == self.pad_id)


class FusedModel(nn.Module):
    """Pairs of an image and a caption to embeddings.

    Args:
        model (MMETForReID): The model.
        normalize (Normalize): The model's.
        pad_id (int): Token id of padding.

    Inputs:
        image (Tensor): As for :class:`ImageTower`.
        text (Tensor): As for :class:`TextTower`, as many.

    Returns:
        Tensor: float32 of shape ``(b, d)``, L2-normalised.
    """

    def __init__(self, model: MMETForReID, normalize: Normalize, pad_id: int) -> None:
        super().__init__()
        self.model = model
        self.normalize = normalize
        self.pad_id = pad_id

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        return self.model.embed(
            image=self.normalize(image), text=text, text_padding=text == self.pad_id
        )


class Tower(NamedTuple):
    """One graph to export."""

    name: str  # "image", "text" or "fused"
    module: nn.Module
    inputs: Tuple[str, ...]  # of "image" and "text"
    image_size: Tuple[int, int]
    vocab_size: int  # 0 without text
    longest: int  # caption in tokens; 0 without text

    def example(self, batch: int, length: int) -> Tuple[Tensor, ...]:
        """Inputs of random pixels and ids, the same at each call; all rows but the first end in padding."""
        generator = torch.Generator().manual_seed(0)
        made: Dict[str, Tensor] = {}
        shape = (batch, 3, *self.image_size)
        made["image"] = torch.randint(
            256, shape, dtype=torch.uint8, generator=generator
        )
        if "text" in self.inputs:
            ids = torch.randint(
                1, self.vocab_size, (batch, length), generator=generator
            )
            kept = (length - torch.arange(batch)).clamp(min=SHORTEST).unsqueeze(1)
            made["text"] = ids.masked_fill(torch.arange(length) >= kept, 0)
        return tuple(made[name] for name in self.inputs)

    def dynamic_shapes(self) -> Dict[str, Dict[int, Any]]:
        """The dimensions that stay free, as ``torch.export`` takes them."""
        batch = Dim("batch")
        shapes: Dict[str, Dict[int, Any]] = {"image": {0: batch}}
        if "text" in self.inputs:
            shapes["text"] = {0: batch, 1: Dim("length", min=2, max=self.longest)}
        return {name: shapes[name] for name in self.inputs}


def towers_of(loaded: Loaded) -> List[Tower]:
    """The graphs of a model: of an MMET image, text and fused, of a baseline image alone.

    Args:
        loaded (Loaded): From :func:`~torchmultimodal_reid.models.loading.load`, on the CPU.

    Raises:
        ValueError: If the model does not embed.
    """
    model, description = loaded.model, loaded.description
    size = description.image_size
    normalize = Normalize(description.mean, description.std)
    if isinstance(model, ReIDModel):
        image = ImageTower(model, normalize)
        return [Tower("image", image.eval(), ("image",), size, 0, 0)]
    if not isinstance(model, MMETForReID) or loaded.tokenizer is None:
        reason = (
            "a captioner writes token by token, which no single graph holds"
            if isinstance(model, BidirectionalCaptioner)
            else "it embeds nothing before it is fine-tuned"
        )
        raise ValueError(
            f"{loaded.source} holds a model of kind {loaded.kind}, which is not exported: {reason}. Expected a "
            "fine-tuned MMET or a re-identification baseline"
        )
    tokens, pad_id = loaded.tokenizer.vocab_size, loaded.tokenizer.pad_id
    longest = int(description.arguments["max_text_length"])  # type: ignore[union-attr]
    image, text = ImageTower(model, normalize), TextTower(model, pad_id)
    fused = FusedModel(model, normalize, pad_id)
    return [
        Tower("image", image.eval(), ("image",), size, 0, 0),
        Tower("text", text.eval(), ("text",), size, tokens, longest),
        Tower("fused", fused.eval(), ("image", "text"), size, tokens, longest),
    ]
