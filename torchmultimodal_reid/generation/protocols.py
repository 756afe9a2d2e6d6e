# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import NamedTuple, Optional, Protocol, Tuple

from torch import Tensor


class TokenIds(NamedTuple):
    """Which ids mean something to a search."""

    start: int  # what a caption goes on from; not part of it
    end: int  # what a caption ends with; part of it
    pad: int = 0  # what stands behind the end
    forbidden: Tuple[int, ...] = ()  # what a caption never has, besides pad and start


class Generated(NamedTuple):
    """Captions of ``b`` images, ``n`` of each, the best first where there is a best.

    ``log_probs`` are the model's own: nothing that a search forbids or leaves out changes them.
    """

    tokens: Tensor  # shape: (b, n, t), long, the end included where it was reached, padded behind
    log_probs: Tensor  # shape: (b, n, t), of each token; 0 at padding
    scores: Tensor  # shape: (b, n), what the search ranks by


class NextToken(Protocol):
    """A model in the middle of writing captions. It remembers what it was told."""

    def __call__(self, tokens: Tensor, parents: Optional[Tensor]) -> Tensor:
        """Logits of what comes next.

        Args:
            tokens (Tensor): The last token of each row, long, of shape ``(rows,)``. The rows of an image are adjacent.
            parents (Optional[Tensor]): Which row of the call before each row goes on from, long, of shape ``(rows,)``.
                None at the first call, whose rows are the images.

        Returns:
            Tensor: Of shape ``(rows, vocab_size)``.
        """
        ...


class Search(Protocol):
    """A way to write captions: greedy, beam search, nucleus sampling."""

    def __call__(
        self, next_token: NextToken, n_image: int, ids: TokenIds, max_length: int
    ) -> Generated:
        """Writes captions for ``n_image`` images of at most ``max_length`` tokens, the end included."""
        ...
