# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

import torch
from PIL import Image
from torch import Tensor
from torchmultimodal_reid.architectures.captioner import (
    BidirectionalCaptioner,
    reverse_captions,
)
from torchmultimodal_reid.data.user_inputs import AnyImage, read_any_image
from torchmultimodal_reid.generation.beam_search import BeamSearch
from torchmultimodal_reid.generation.cached_steps import CachedSteps
from torchmultimodal_reid.generation.protocols import Search, TokenIds
from torchmultimodal_reid.transforms.image import (
    EvalImageTransform,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Normalize,
)
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer


class WrittenCaption(NamedTuple):
    text: str
    tokens: Tuple[int, ...]  # in reading order, without the one that began or ended it
    log_prob: float  # of the whole caption, its end included
    score: float  # what the search ranked by


class ImageCaptioner:
    """A captioner with what its images and its words go through.

    Args:
        model (BidirectionalCaptioner): A trained one, on any device.
        tokenizer (WordPieceTokenizer): The one that it was trained with.
        image_size (Tuple[int, int]): Height and width that images are resized to.
        max_text_length (int): The longest caption in tokens, [CLS] and [SEP] included.
        mean (Sequence[float]), std (Sequence[float]): Of the model's normalisation. Default: ImageNet's
        batch_size (int): Images at once. Default: 32
    """

    def __init__(
        self,
        model: BidirectionalCaptioner,
        tokenizer: WordPieceTokenizer,
        *,
        image_size: Tuple[int, int],
        max_text_length: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        batch_size: int = 32,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.transform = EvalImageTransform(image_size)
        self.normalize = Normalize(mean, std)
        self.max_text_length = max_text_length
        self.batch_size = batch_size

    def caption(
        self,
        images: Sequence[AnyImage],
        search: Optional[Search] = None,
        *,
        backward: bool = False,
    ) -> List[str]:
        """One caption for each image, the best that the search finds. See :meth:`write` for the arguments."""
        written = self.write(images, search, backward=backward)
        return [captions[0].text for captions in written]

    def write(
        self,
        images: Sequence[AnyImage],
        search: Optional[Search] = None,
        *,
        backward: bool = False,
    ) -> List[List[WrittenCaption]]:
        """Captions for each image with their log-probabilities, as many as the search returns.

        Args:
            images (Sequence[AnyImage]): Paths, PIL images, or uint8 tensors of shape ``(3, h, w)``, of any sizes.
            search (Optional[Search]): Greedy(), BeamSearch(...) or NucleusSampling(...). Default: BeamSearch()
            backward (bool): Write from right to left; the captions returned read from left to right. Default: False

        Raises:
            ValueError: If ``images`` is one image, one of them cannot be read, or the model has no such direction.
        """
        if isinstance(images, (str, Path, Image.Image, Tensor)):
            raise ValueError("expected a list of images, got one image; put it in [ ]")
        search = BeamSearch() if search is None else search
        training = self.model.training
        self.model.eval()
        try:
            written = []
            for first in range(0, len(images), self.batch_size):
                batch = images[first : first + self.batch_size]
                written += self._write_batch(batch, search, backward)
            return written
        finally:
            self.model.train(training)

    def token_ids(self, backward: bool = False) -> TokenIds:
        """The ids between which captions are written in one direction."""
        start, end = self.tokenizer.cls_id, self.tokenizer.sep_id
        return TokenIds(
            start=end if backward else start,
            end=start if backward else end,
            pad=self.tokenizer.pad_id,
            forbidden=(self.tokenizer.unk_id, self.tokenizer.mask_id),
        )

    def _write_batch(
        self, images: Sequence[AnyImage], search: Search, backward: bool
    ) -> List[List[WrittenCaption]]:
        device = next(self.model.parameters()).device
        size = self.transform.image_size
        pixels = torch.stack([read_any_image(image, size) for image in images]).to(
            device
        )
        steps = CachedSteps(self.model, self.normalize.to(device)(pixels), backward)
        ids = self.token_ids(backward)
        # the token that begins a caption has a position too
        generated = search(steps, len(images), ids, self.max_text_length - 1)
        tokens = generated.tokens.flatten(0, 1)
        if backward:
            tokens = reverse_captions(tokens, tokens == ids.pad)
        tokens = tokens.view(generated.tokens.shape).cpu()
        log_probs = generated.log_probs.sum(dim=-1)
        return [
            [
                self._caption(*one)
                for one in zip(
                    tokens[i], log_probs[i].tolist(), generated.scores[i].tolist()
                )
            ]
            for i in range(len(images))
        ]

    def _caption(self, tokens: Tensor, log_prob: float, score: float) -> WrittenCaption:
        ends = (self.tokenizer.pad_id, self.tokenizer.cls_id, self.tokenizer.sep_id)
        words = tuple(token for token in tokens.tolist() if token not in ends)
        return WrittenCaption(self.tokenizer.decode(words), words, log_prob, score)
