# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The caption transform made of torchtext's parts, for pipelines that keep to them."""

from importlib import import_module
from typing import Any

import torch
from torch import nn
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer


def torchtext_caption_transform(
    vocab: str, max_length: int = 77, lowercase: bool = True
) -> nn.Sequential:
    """Builds a torchtext ``Sequential`` that gives the ids of
    :class:`~torchmultimodal_reid.transforms.caption.CaptionTransform`: [CLS], pieces, [SEP], a longer caption's end
    being cut off.

    It takes a caption, can be compiled by ``torch.jit.script``, and refuses nothing: an empty caption is [CLS], [SEP].
    It knows no flipped images: see :func:`~torchmultimodal_reid.transforms.caption.swap_left_right`. The two differ
    only in what captions do not have: NUL, U+2028, U+2029, and characters of a newer Unicode than torchtext's tables.

    Reference: https://pytorch.org/text/0.18.0/transforms.html

    Args:
        vocab (str): Path of a ``vocab.txt``, as ``WordPieceTokenizer.save_vocab`` writes it. It is read again whenever
            the transform is compiled.
        max_length (int): Most tokens that a text may have, [CLS] and [SEP] among them. Default: 77
        lowercase (bool): Whether captions are lower-cased (and stripped of accents) first. Default: ``True``

    Returns:
        nn.Sequential: From a caption (str) to token ids, long, of shape ``(s,)`` with ``2 <= s <= max_length``.

    Raises:
        ValueError: If torchtext does not load, ``max_length`` is invalid, or the file cannot be read, is no vocabulary
            or has the line ends of Windows.
    """
    if max_length < 3:
        raise ValueError(
            f"max_length must be at least 3 ([CLS], a piece, [SEP]), got {max_length}"
        )
    transforms = load_torchtext_transforms()
    tokenizer = WordPieceTokenizer.from_vocab(vocab, lowercase)
    with open(vocab, "rb") as file:
        if b"\r" in file.read():
            raise ValueError(
                f"{vocab}: torchtext needs lines that end in \\n alone; write the file again with "
                "WordPieceTokenizer.from_vocab(...).save_vocab(...)"
            )
    return transforms.Sequential(
        transforms.BERTTokenizer(vocab, do_lower_case=lowercase),
        transforms.StrToIntTransform(),  # the tokeniser gives ids as digits
        transforms.Truncate(max_length - 2),
        transforms.AddToken(tokenizer.cls_id, begin=True),
        transforms.AddToken(tokenizer.sep_id, begin=False),
        transforms.ToTensor(),
    )


def load_torchtext_transforms() -> Any:
    """The module ``torchtext.transforms``, without the notice that torchtext has ended.

    Raises:
        ValueError: If it is not installed, or its binary does not load beside this torch.
    """
    try:
        import_module("torchtext").disable_torchtext_deprecation_warning()
        return import_module("torchtext.transforms")
    except (ImportError, OSError, AttributeError) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torchtext"
        what = "is not installed" if missing else "does not load"
        raise ValueError(
            f"torchtext {what} beside torch {torch.__version__}, as its last release, 0.18.0, was built for torch "
            "2.3 alone; use CaptionTransform, which gives the same ids, or pip install "
            "'torchmultimodal-reid[torchtext]' in an environment of its own"
        ) from error
