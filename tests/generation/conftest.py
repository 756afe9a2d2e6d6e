# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import List, Optional

import pytest
import torch
from torch import nn, Tensor
from torchmultimodal_reid.architectures.captioner import BidirectionalCaptioner
from torchmultimodal_reid.models.vtbr import caption_decoder, text_ends

END, START, PAD = 3, 2, 0


class Table:
    """A language that knows only the last token: row ``i`` has the probabilities of what follows ``i``."""

    def __init__(self, probabilities: Tensor) -> None:
        self.logits = probabilities.double().log()
        self.calls: List[Optional[Tensor]] = []

    def __call__(self, tokens: Tensor, parents: Optional[Tensor]) -> Tensor:
        self.calls.append(parents)
        return self.logits[tokens]


@pytest.fixture
def table():
    """Builds a :class:`Table` of ``size`` tokens from ``{token: {next: probability}}``; the rest is impossible."""

    def build(probabilities, size=12):
        dense = torch.zeros(size, size)
        dense[:, END] = 1.0
        for token, following in probabilities.items():
            dense[token, END] = 0.0
            for after, probability in following.items():
                dense[token, after] = probability
        return Table(dense)

    return build


@pytest.fixture
def captioner():
    """Builds a captioner of a few thousand weights, large enough for what it says to differ from image to image."""

    def build(*, vocab_size=30, max_text_length=10, backward=True, norm_first=False):
        torch.manual_seed(0)
        ends = text_ends(6, vocab_size, max_text_length, 16, 0.1)
        decoders = [
            caption_decoder(
                d_model=16,
                n_layer=2,
                n_head=4,
                dim_feedforward=32,
                norm_first=norm_first,
            )
            for _ in range(2)
        ]
        model = BidirectionalCaptioner(
            nn.Conv2d(3, 6, 4, stride=4),
            ends[0],
            ends[1],
            decoders[0],
            decoders[1] if backward else None,
            # tied to the embedding, random weights would say the last token over and over
            nn.Linear(16, vocab_size),
        )
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(std=0.5)
            model.output.bias[END] += 3.0
        return model.eval()

    return build
