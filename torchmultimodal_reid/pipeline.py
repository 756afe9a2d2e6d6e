# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Files, PIL images and captions in; embeddings or captions out."""

from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Union

import torch
from torch import Tensor
from torchmultimodal_reid.architectures.captioner import BidirectionalCaptioner
from torchmultimodal_reid.architectures.mmet_reid import MMETForReID
from torchmultimodal_reid.architectures.reid import ReIDModel
from torchmultimodal_reid.data.collate import pad_texts
from torchmultimodal_reid.data.user_inputs import (
    AnyImage,
    check_images,
    check_texts,
    read_any_image,
)
from torchmultimodal_reid.generation.protocols import Search
from torchmultimodal_reid.models.loading import load, Loaded
from torchmultimodal_reid.models.saved_vtbr import make_captioner
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import Normalize
from tqdm import tqdm

BAR_AFTER = 1.5  # seconds; what is done sooner shows no progress bar


class ReIDPipeline:
    """A trained model with the transforms and the tokeniser that travel in its checkpoint.

    A fine-tuned MMET embeds images, captions, or pairs of both into one space; a re-identification baseline embeds
    images; a captioner writes captions. It is what a :class:`~torchmultimodal_reid.search.gallery_index.GalleryIndex`
    asks of an encoder, too.

    Args:
        loaded (Loaded): From :func:`~torchmultimodal_reid.models.loading.load`; its model is used, not copied.
        device (Optional[Union[str, torch.device]]): Where to compute. Default: ``None``, on a CUDA GPU if there is
            one, else on the CPU
        batch_size (int): Rows at once. Default: 64

    Raises:
        ValueError: If the model neither embeds nor captions, or there is no such device.
    """

    def __init__(
        self,
        loaded: Loaded,
        device: Optional[Union[str, torch.device]] = None,
        *,
        batch_size: int = 64,
    ) -> None:
        usable = (MMETForReID, ReIDModel, BidirectionalCaptioner)
        if not isinstance(loaded.model, usable):
            raise ValueError(
                f"{loaded.source} holds a pretrained model of kind {loaded.kind}, which neither embeds nor writes "
                "captions; fine-tune it first. Its weights come from load()"
            )
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.kind, self.source = loaded.kind, loaded.source
        self.fingerprint = loaded.fingerprint
        self.tokenizer = loaded.tokenizer
        self.description: Any = loaded.description
        self.batch_size = batch_size
        normalize = Normalize(loaded.description.mean, loaded.description.std)
        self.model: Any = loaded.model.eval()
        self.device = _move(device, self.model, normalize)
        self._normalize = normalize

    @classmethod
    def from_checkpoint(
        cls,
        path_or_name: Union[str, Path],
        device: Optional[Union[str, torch.device]] = None,
        *,
        batch_size: int = 64,
    ) -> "ReIDPipeline":
        """The pipeline of a checkpoint: ``ReIDPipeline.from_checkpoint("runs/finetune/best")``.

        Args:
            path_or_name (Union[str, Path]): A checkpoint's folder, or a name in the model zoo.
            device (Optional[Union[str, torch.device]]): See the class. Default: ``None``
            batch_size (int): See the class. Default: 64

        Raises:
            CheckpointError: If there is no such checkpoint, or it is not whole.
            ValueError: If its model neither embeds nor captions, or there is no such device.
        """
        return cls(load(path_or_name), device, batch_size=batch_size)

    def embed(
        self,
        images: Optional[Sequence[AnyImage]] = None,
        texts: Optional[Sequence[str]] = None,
        *,
        progress: Optional[bool] = None,
    ) -> Tensor:
        """Embeddings to compare, one a row: of images, of captions, or of pairs of both, which tell one person.

        Args:
            images (Optional[Sequence[AnyImage]]): Paths, PIL images, or uint8 tensors of shape ``(3, h, w)``, of any
                sizes. Default: ``None``
            texts (Optional[Sequence[str]]): Captions. With images, as many: the n-th tells of the n-th image.
                Default: ``None``
            progress (Optional[bool]): Whether to show a progress bar. Default: ``None``, in a terminal when it takes
                more than a moment

        Returns:
            Tensor: float32 of shape ``(n, d)`` on the CPU, L2-normalised, so that a dot product is a cosine
            similarity.

        Raises:
            ValueError: If nothing is given, a list is empty, their lengths differ, an entry is of another type, a text
                is the path of an image, or the model does not embed what is given.
            DataError: If an image is missing or damaged; the message names it. It is a ValueError too.
        """
        self._check_embeds(texts is not None)
        if images is None and texts is None:
            raise ValueError("give images, texts, or both of them, to embed")
        pictures = [] if images is None else check_images(images)
        tokens = [] if texts is None else self._tokens(texts)
        if pictures and tokens and len(pictures) != len(tokens):
            raise ValueError(
                f"got {len(pictures)} images and {len(tokens)} texts, expected as many of the one as of the other"
            )
        rows = []
        for part in self._parts(len(pictures or tokens), "embed", progress):
            batch: Dict[str, Tensor] = {}
            if pictures:
                pixels = torch.stack(self._read(pictures, part))
                batch["image"] = self._normalize(pixels.to(self.device))
            if tokens:
                assert self.tokenizer is not None
                text, padding = pad_texts(tokens[part], self.tokenizer.pad_id)
                batch["text"] = text.to(self.device)
                batch["text_padding"] = padding.to(self.device)
            with torch.no_grad():
                rows.append(self.model.embed(**batch).cpu())
        return torch.cat(rows)

    def caption(
        self,
        images: Sequence[AnyImage],
        search: Optional[Search] = None,
        *,
        progress: Optional[bool] = None,
    ) -> List[str]:
        """One caption for each image.

        Args:
            images (Sequence[AnyImage]): As for :meth:`embed`.
            search (Optional[Search]): ``Greedy()``, ``BeamSearch(...)`` or ``NucleusSampling(...)``. Default:
                ``None``, a beam search
            progress (Optional[bool]): As for :meth:`embed`. Default: ``None``

        Raises:
            ValueError: If the model writes no captions, the list is empty, or an entry is of another type.
            DataError: If an image is missing or damaged; the message names it. It is a ValueError too.
        """
        if not isinstance(self.model, BidirectionalCaptioner):
            raise ValueError(
                f"{self.source} is a model of kind {self.kind}, which writes no captions; use a checkpoint of a "
                "captioner, kind vtbr"
            )
        pictures = check_images(images)
        assert self.tokenizer is not None
        captioner = make_captioner(
            self.model, self.tokenizer, self.description, self.batch_size
        )
        written: List[str] = []
        for part in self._parts(len(pictures), "caption", progress):
            written += captioner.caption(self._read(pictures, part), search)
        return written

    def encode(self, image: Optional[Tensor], text: Optional[str]) -> Tensor:
        """The embedding ``(d,)`` of an image ``(3, h, w)``, uint8, of a caption, or of both together: what a
        :class:`~torchmultimodal_reid.search.gallery_index.GalleryIndex` asks."""
        images = None if image is None else [image]
        texts = None if text is None else [text]
        return self.embed(images, texts, progress=False)[0]

    def _check_embeds(self, with_texts: bool) -> None:
        if isinstance(self.model, BidirectionalCaptioner):
            raise ValueError(
                f"{self.source} is a captioner, which embeds nothing; use caption(images), or a checkpoint of MMET or "
                "of the re-identification baseline"
            )
        if with_texts and isinstance(self.model, ReIDModel):
            raise ValueError(
                f"{self.source} is a re-identification baseline, which embeds images and reads no captions; use a "
                "checkpoint of MMET for them"
            )

    def _read(self, images: Sequence[AnyImage], part: slice) -> List[Tensor]:
        size = self.description.image_size
        return [
            read_any_image(image, size, f"images[{i}]")
            for i, image in enumerate(images[part], start=part.start)
        ]

    def _tokens(self, texts: Sequence[str]) -> List[Tensor]:
        assert self.tokenizer is not None
        transform = CaptionTransform(self.tokenizer, self.description.max_text_length)
        tokens = []
        for i, text in enumerate(check_texts(texts)):
            try:
                tokens.append(transform(text))
            except ValueError as error:
                raise ValueError(f"texts[{i}]: {error}") from error
        return tokens

    def _parts(
        self, count: int, label: str, progress: Optional[bool]
    ) -> Iterator[slice]:
        """The batches, with a progress bar where one is wanted."""
        delay = BAR_AFTER if progress is None else 0.0
        # tqdm's None: where there is no terminal
        disable = None if progress is None else not progress
        with tqdm(
            total=count, desc=label, disable=disable, delay=delay, leave=False
        ) as bar:
            for start in range(0, count, self.batch_size):
                stop = min(start + self.batch_size, count)
                yield slice(start, stop)
                bar.update(stop - start)


def _move(
    device: Optional[Union[str, torch.device]], *modules: torch.nn.Module
) -> torch.device:
    """Moves modules in place, and returns where to."""
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
        for module in modules:
            module.to(found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"device {device!r} cannot be used: {reason}") from error
    return found
