# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor
from torchmultimodal_reid.data.dataset import PersonSample


class PersonBatch(NamedTuple):
    """A batch of samples.

    Args:
        image (Optional[Tensor]): uint8 images of shape ``(b, 3, h, w)``, or ``None`` for text only.
        text (Optional[Tensor]): Token ids, long, of shape ``(b, s)``, or ``None`` for images only.
        text_padding (Optional[Tensor]): Bool, of shape ``(b, s)``, True where the text is padding.
        identity (Tensor): Long, of shape ``(b,)``.
        camera (Tensor): Long, of shape ``(b,)``.
        index (Tensor): Position of each sample in its data set, long, of shape ``(b,)``.
        draw (Optional[Tensor]): Which draw of augmentation and caption each sample is, long, of shape ``(b,)``; within
            a batch, index and draw tell one sample from any other. Default: ``None``
        paths (Tuple[str, ...]): The image file of each sample; empty where they are not known. Default: ``()``
    """

    image: Optional[Tensor]
    text: Optional[Tensor]
    text_padding: Optional[Tensor]
    identity: Tensor
    camera: Tensor
    index: Tensor  # type: ignore[assignment]  # shadows tuple.index
    draw: Optional[Tensor] = None
    paths: Tuple[str, ...] = ()

    def to(
        self, device: Union[str, torch.device], non_blocking: bool = False
    ) -> "PersonBatch":
        """The batch on another device."""

        return PersonBatch._make(
            (
                part.to(device, non_blocking=non_blocking)
                if isinstance(part, Tensor)
                else part
            )
            for part in self
        )

    def part(self, start: int, stop: int) -> "PersonBatch":
        """The samples from ``start`` to ``stop - 1``."""
        return PersonBatch._make(
            None if part is None else part[start:stop] for part in self
        )


class Collate:
    """Stacks samples into a batch; texts are padded to the longest one of the batch.

    Args:
        pad_id (int): Token id of padding.

    Raises:
        ValueError: If some of the samples have an image (or a text) and others have none.
    """

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, samples: Sequence[PersonSample]) -> PersonBatch:
        images = _all_or_none([sample.image for sample in samples], "image")
        texts = _all_or_none([sample.text for sample in samples], "text")
        text, text_padding = None, None
        if texts is not None:
            text, text_padding = pad_texts(texts, self.pad_id)
        return PersonBatch(
            image=None if images is None else torch.stack(images),
            text=text,
            text_padding=text_padding,
            identity=torch.tensor([sample.identity for sample in samples]),
            camera=torch.tensor([sample.camera for sample in samples]),
            index=torch.tensor([sample.index for sample in samples]),
            draw=torch.tensor([sample.draw for sample in samples]),
            paths=tuple(sample.path for sample in samples),
        )


def pad_texts(texts: Sequence[Tensor], pad_id: int) -> Tuple[Tensor, Tensor]:
    """Texts of several lengths as one batch.

    Args:
        texts (Sequence[Tensor]): Token ids, long, each of shape ``(s,)``.
        pad_id (int): Token id of padding.

    Returns:
        Tuple[Tensor, Tensor]: Token ids, long, and a bool tensor that is True at padding, both of shape ``(b, s)``, the
        longest text being ``s`` long.
    """
    lengths = torch.tensor([len(text) for text in texts])
    text = torch.nn.utils.rnn.pad_sequence(
        list(texts), batch_first=True, padding_value=pad_id
    )
    # by length, not by looking for pad_id
    return text, torch.arange(text.shape[1]) >= lengths.unsqueeze(1)


def _all_or_none(
    tensors: Sequence[Optional[Tensor]], name: str
) -> Optional[List[Tensor]]:
    present = [tensor for tensor in tensors if tensor is not None]
    if present and len(present) != len(tensors):
        raise ValueError(
            f"{len(present)} of {len(tensors)} samples of a batch have {name}, the others have none; batches are "
            "image-only, text-only or paired as a whole (see MixtureSampler)"
        )
    return present or None
