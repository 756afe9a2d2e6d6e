# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The losses of VTBR's pretraining by name, one class a task."""

from typing import Callable, Dict, Protocol, Tuple

import torch
from examples.common.distributed import draws_of
from torch import nn, Tensor
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.modules.losses.captioning import (
    CaptioningLoss,
    TokenClassificationLoss,
    words_of,
)
from torchmultimodal_reid.modules.losses.masked_prediction import (
    MaskedClassificationLoss,
)
from torchmultimodal_reid.modules.masking.token_masking import (
    TokenMasking,
    TokenMaskingOutput,
)
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer


class PretrainingTask(Protocol):
    """What a batch of images and captions teaches."""

    names: Tuple[str, ...]  # of the losses that it may give

    def __call__(
        self, model: nn.Module, batch: PersonBatch, step: int
    ) -> Dict[str, Tensor]:
        """Losses by name; each is a mean over tokens, or over images where the task knows no order of tokens."""
        ...

    def count_rows(self, batch: PersonBatch, step: int) -> Dict[str, Tensor]:
        """Over how many tokens, or images, the loss of each name is the mean."""
        ...


class Captioning:
    """The cross-entropy of each token, forwards and, where the model does that too, backwards."""

    names: Tuple[str, ...] = ("forward", "backward")

    def __init__(
        self, tokenizer: WordPieceTokenizer, normalize: nn.Module, seed: int
    ) -> None:
        self.normalize = normalize
        self.loss = CaptioningLoss()

    def __call__(
        self, model: nn.Module, batch: PersonBatch, step: int
    ) -> Dict[str, Tensor]:
        output = model(self.normalize(batch.image), batch.text, batch.text_padding)
        loss = self.loss(*output)
        losses = {"forward": loss.forward}
        if loss.backward is not None:
            losses["backward"] = loss.backward
        return losses

    def count_rows(self, batch: PersonBatch, step: int) -> Dict[str, Tensor]:
        assert batch.text_padding is not None
        # the first token of a direction is given
        tokens = (~batch.text_padding[:, 1:]).sum()
        return dict.fromkeys(self.names, tokens)


class MaskedWords:
    """The cross-entropy of masked words, of which 15 % are drawn at each step."""

    names: Tuple[str, ...] = ("masked_words",)

    def __init__(
        self, tokenizer: WordPieceTokenizer, normalize: nn.Module, seed: int
    ) -> None:
        self.normalize = normalize
        self.seed = seed
        self.masking = TokenMasking(
            tokenizer.vocab_size,
            tokenizer.mask_id,
            tokenizer.special_ids,
            tokenizer.continuation,
        )
        self.loss = MaskedClassificationLoss()

    def __call__(
        self, model: nn.Module, batch: PersonBatch, step: int
    ) -> Dict[str, Tensor]:
        mask = self._mask(batch, step)
        prediction = model(
            self.normalize(batch.image),
            batch.text,
            mask.masked_text,
            mask.masked_tokens,
            batch.text_padding,
        )
        return {"masked_words": self.loss(*prediction)}

    def count_rows(self, batch: PersonBatch, step: int) -> Dict[str, Tensor]:
        return {"masked_words": self._mask(batch, step).masked_tokens.sum()}

    def _mask(self, batch: PersonBatch, step: int) -> TokenMaskingOutput:
        assert batch.text is not None
        draws = draws_of(batch, self.seed, "masks", step)
        return self.masking.to(batch.text.device)(batch.text, generator=draws)


class WordClassification:
    """The cross-entropy between what is seen in an image and the set of its caption's words."""

    names: Tuple[str, ...] = ("words",)

    def __init__(
        self, tokenizer: WordPieceTokenizer, normalize: nn.Module, seed: int
    ) -> None:
        self.normalize = normalize
        self.special_ids = torch.tensor(tokenizer.special_ids)
        self.vocab_size = tokenizer.vocab_size
        self.loss = TokenClassificationLoss()

    def __call__(
        self, model: nn.Module, batch: PersonBatch, step: int
    ) -> Dict[str, Tensor]:
        logits = model(self.normalize(batch.image))
        return {"words": self.loss(logits, self._words(batch))}

    def count_rows(self, batch: PersonBatch, step: int) -> Dict[str, Tensor]:
        return {"words": self._words(batch).any(dim=1).sum()}

    def _words(self, batch: PersonBatch) -> Tensor:
        assert batch.text is not None
        return words_of(
            batch.text,
            batch.text_padding,
            self.vocab_size,
            self.special_ids.to(batch.text.device),
        )


# by the builder of the model
TASKS: Dict[str, Callable[..., PretrainingTask]] = {
    "vtbr": Captioning,
    "vtbr_masked_lm": MaskedWords,
    "vtbr_token_classification": WordClassification,
}
