# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import hashlib
import re
from typing import Callable, Dict, Iterable, Iterator, Optional

from torchmultimodal_reid.data.inspect.attribute_words import tells_an_attribute
from torchmultimodal_reid.data.inspect.findings import Collector
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.transforms.caption import swap_left_right

_TOKENS = re.compile(r"\w+|[^\w\s]")
_MARKUP = re.compile(r"<[^>]*>|\[[^\]]*\]|https?://")


def fewest_tokens(caption: str) -> int:
    """How many tokens a caption has at least, [CLS] and [SEP] among them: a word is one token or more."""
    return 2 + len(_TOKENS.findall(caption))


def lint_captions(
    images: Iterable[PersonImage],
    found: Collector,
    max_length: int,
    count_tokens: Optional[Callable[[str], int]] = None,
) -> Iterator[None]:
    """Looks for captions that teach little or the wrong thing. Yields once an image, for a progress bar.

    Args:
        images (Iterable[PersonImage]): The images, each once.
        found (Collector): Where findings go.
        max_length (int): Tokens after which a text is cut off.
        count_tokens (Optional[Callable[[str], int]]): Tokens of a caption, [CLS] and [SEP] among them. Default: as many
            as any tokeniser makes at least
    """
    exact = count_tokens is not None
    count = count_tokens or fewest_tokens
    cut_off = f"captions of more than {max_length} tokens, whose ends are cut off" + (
        "" if exact else " (counted by words: a tokeniser may cut off more)"
    )
    # 8 bytes of a hash stand for a caption, so that memory is small
    first: Dict[bytes, PersonImage] = {}
    for image in images:
        for caption in image.captions:
            example = f"{image.path}: {_short(caption)}"
            if not caption.strip():
                found.add("empty_captions", "captions without a word", example)
                continue
            if not tells_an_attribute(caption):
                found.add(
                    "captions_without_attribute",
                    "captions without a word for clothes, colour, build, hair or a thing carried",
                    example,
                )
            if swap_left_right(caption) != caption:
                found.add(
                    "captions_with_sides",
                    'captions with "left" or "right": mirroring an image has to swap them (CaptionTransform does)',
                    example,
                )
            if _MARKUP.search(caption):
                found.add(
                    "captions_with_markup",
                    "captions with tags, brackets or addresses, left over from a template",
                    example,
                )
            if count(caption) > max_length:
                found.add("captions_cut_off", cut_off, example)
            digest = hashlib.blake2b(
                " ".join(caption.lower().split()).encode(), digest_size=8
            ).digest()
            other = first.setdefault(digest, image)
            if other.identity != image.identity:
                found.add(
                    "captions_shared_by_identities",
                    "captions that an image of another identity has word by word: a text query cannot tell them apart",
                    f"{_short(caption)} ({other.path}, {image.path})",
                )
        yield


def _short(caption: str, limit: int = 70) -> str:
    return repr(caption if len(caption) <= limit else caption[:limit] + "...")
