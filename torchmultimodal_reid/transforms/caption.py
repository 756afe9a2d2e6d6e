# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import re
from typing import List, Match

import torch
from torch import Tensor
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer

# whole words, their compounds with a hyphen, and the few one-word compounds that a mirror turns around too;
# not "leftover" or "bright"
_SIDES = re.compile(
    r"(?<![A-Za-z])(left|right)(?=(?:most|wards?|hand(?:ed)?)?(?![A-Za-z]))",
    re.IGNORECASE,
)


def swap_left_right(caption: str) -> str:
    """Swaps the words "left" and "right", as a mirrored image needs it. Upper case and capitals are kept.

    It swaps words, not meanings: "the bag he left" becomes "the bag he right". Captions of FineGPR-C and CUHK-PEDES
    use the words for sides almost always.
    """
    return _SIDES.sub(_other_side, caption)


def _other_side(match: Match[str]) -> str:
    word = match[0]
    other = "right" if word.lower() == "left" else "left"
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other


class CaptionTransform:
    """Turns a caption into token ids: [CLS], pieces, [SEP].

    Args:
        tokenizer (WordPieceTokenizer): The tokeniser.
        max_length (int): Most tokens that a text may have, [CLS] and [SEP] among them. Default: 77
        overflow (str): ``"truncate"`` cuts a longer caption's end off, keeping [SEP]; ``"error"`` refuses it.
            Default: ``"truncate"``

    Inputs:
        caption (str): The caption.
        flipped (bool): Whether the image was mirrored, which swaps "left" and "right". Default: ``False``

    Returns:
        Tensor: Token ids, long, of shape ``(s,)`` with ``3 <= s <= max_length``.

    Raises:
        ValueError: If ``max_length`` or ``overflow`` is invalid, the caption is empty, has only unknown words, or
            is too long and ``overflow`` is ``"error"``.
    """

    def __init__(
        self,
        tokenizer: WordPieceTokenizer,
        max_length: int = 77,
        overflow: str = "truncate",
    ) -> None:
        if max_length < 3:
            raise ValueError(
                f"max_length must be at least 3 ([CLS], a piece, [SEP]), got {max_length}"
            )
        if overflow not in ("truncate", "error"):
            raise ValueError(
                f"overflow must be 'truncate' or 'error', got {overflow!r}"
            )
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.overflow = overflow

    def __call__(self, caption: str, flipped: bool = False) -> Tensor:
        ids = self.tokenizer.encode(swap_left_right(caption) if flipped else caption)
        if len(ids) <= 2:
            raise ValueError(f"the caption {caption!r} is empty; expected some words")
        if set(ids[1:-1]) == {self.tokenizer.unk_id}:
            raise ValueError(
                f"the tokeniser knows no word of the caption {caption!r}; expected one in the language and the letters "
                "of the captions that it was trained on"
            )
        if len(ids) > self.max_length:
            ids = self._shorten(ids, caption)
        return torch.tensor(ids, dtype=torch.long)

    def _shorten(self, ids: List[int], caption: str) -> List[int]:
        if self.overflow == "error":
            shown = caption if len(caption) <= 60 else caption[:57] + "..."
            raise ValueError(
                f"the caption {shown!r} has {len(ids)} tokens, more than max_length {self.max_length}; shorten it, "
                "raise max_length, or pass overflow='truncate'"
            )
        return ids[: self.max_length - 1] + ids[-1:]
