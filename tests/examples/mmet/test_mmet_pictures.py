# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import torch
from examples.mmet.pictures import completed_caption
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer


def test_completed_words_stand_in_brackets_and_wrong_ones_beside_what_was_there():
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += ["red", "blue", "coat", "##s", "hat"]
    tokenizer = WordPieceTokenizer(tokens)

    def ids(*pieces):
        return torch.tensor([tokens.index(piece) for piece in pieces])

    text = ids("[CLS]", "red", "coat", "##s", "hat", "[SEP]", "[PAD]")
    completed = ids("[CLS]", "blue", "coat", "##s", "hat", "[SEP]", "[PAD]")
    masked = torch.tensor([0, 1, 0, 1, 0, 0, 0]).bool()
    assert (
        completed_caption(tokenizer, text, completed, masked)
        == "[blue / red] [coats] hat"
    )
