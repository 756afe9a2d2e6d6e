# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Captions in a configuration, and the tokeniser that a run of new weights starts with."""

from dataclasses import dataclass
from typing import Iterable, Optional

from examples.common.checks import check_choice, check_range
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer


@dataclass
class TextConfig:
    """Tokeniser and captions."""

    vocabulary: Optional[str] = (
        None  # a BERT vocab.txt; without it a tokeniser is trained on the captions
    )
    vocab_size: int = 2000  # of a tokeniser that is trained
    max_length: int = 77  # longest caption in tokens; what goes past it is cut
    overflow: str = "truncate"  # truncate or error: what happens to a longer caption

    def __post_init__(self) -> None:
        check_choice("text.overflow", self.overflow, ("truncate", "error"))
        check_range("text.vocab_size", self.vocab_size, 1)
        check_range("text.max_length", self.max_length, 3)


def make_tokenizer(config: TextConfig, captions: Iterable[str]) -> WordPieceTokenizer:
    """BERT's vocabulary if one is given, else one that is trained on the training captions."""
    if config.vocabulary is not None:
        return WordPieceTokenizer.from_vocab(config.vocabulary)
    return WordPieceTokenizer.train(captions, config.vocab_size)
