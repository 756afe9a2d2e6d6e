# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What [CLS_M], which makes the embedding, looks at: patches of the image and words of the caption."""

from typing import Any, List, NamedTuple, Optional, Sequence

import torch
from docs.figures.drawing import FAINT, INK
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import nn, Tensor
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.evaluation.figures.canvas import new_figure, place, show_image

HEAT = "viridis"
# inches
IMAGE_WIDTH, GAP, MARGIN, LINE = 1.1, 0.15, 0.2, 0.21
WORDS_WIDTH = 2.5


class Looked(NamedTuple):
    """Shares of [CLS_M]'s attention for one pair; all of them and its own one add up to 1."""

    patches: Tensor  # shape: (rows, columns)
    words: Tensor  # shape: (s,), [CLS_T] and [SEP] among them, 0 at padding
    image_class: float  # [CLS_I]
    itself: float  # [CLS_M]


@torch.no_grad()
def look(
    mmet: MMET, image: Tensor, text: Tensor, text_padding: Optional[Tensor] = None
) -> List[Looked]:
    """Attention of [CLS_M] in the multimodal encoder, the mean over its layers and their heads.

    TorchMultimodal's attention does not give its weights, so they are computed again from its input.

    Args:
        mmet (MMET): In evaluation mode, its multimodal encoder made of TorchMultimodal's layers.
        image (Tensor): Normalised images of shape ``(b, 3, h, w)``.
        text (Tensor): Token ids of shape ``(b, s)``.
        text_padding (Optional[Tensor]): Bool of shape ``(b, s)``, True at padding. Default: ``None``
    """
    encoder: Any = mmet.mm_encoder
    weights: List[Tensor] = []

    def keep(module: nn.Module, args: Any, kwargs: Any) -> None:
        query = args[0] if args else kwargs["query"]
        weights.append(weights_of_first(module, query, kwargs.get("attn_mask")))

    hooks = [
        layer.attention.register_forward_pre_hook(keep, with_kwargs=True)
        for layer in encoder.encoder.layer
    ]
    try:
        mmet(image, text, text_padding)
    finally:
        for hook in hooks:
            hook.remove()
    shares = torch.stack(weights).mean(dim=(0, 2))  # shape: (b, tokens)
    rows, columns = mmet.grid
    last_patch = 2 + rows * columns
    return [
        Looked(
            share[2:last_patch].view(rows, columns),
            share[last_patch:],
            float(share[1]),
            float(share[0]),
        )
        for share in shares
    ]


def weights_of_first(module: Any, hidden: Tensor, attend: Optional[Tensor]) -> Tensor:
    """Attention weights of the first token, ``(b, heads, tokens)``, of TorchMultimodal's ``MultiHeadSelfAttention``."""
    batch, tokens, dim = hidden.shape
    query, key, _ = module.input_proj(hidden).chunk(3, dim=-1)
    heads = (batch, tokens, module.num_heads, dim // module.num_heads)
    query, key = (each.view(heads).transpose(1, 2) for each in (query, key))
    scores = query[:, :, :1] @ key.transpose(2, 3) / heads[-1] ** 0.5
    if attend is not None:
        scores = scores.masked_fill(~attend[..., :1, :], float("-inf"))
    return scores.squeeze(2).softmax(dim=-1)


def draw_attention(
    images: Sequence[Tensor],
    words: Sequence[Sequence[str]],
    looked: Sequence[Looked],
    title: str,
) -> Figure:
    """The picture of ``docs/images/attention.png``: each image, what is looked at in it, and the words beside.

    Args:
        images (Sequence[Tensor]): uint8, each of shape ``(3, h, w)``.
        words (Sequence[Sequence[str]]): Tokens of each caption, without padding.
        looked (Sequence[Looked]): From :func:`look`.
        title (str): Heading.
    """
    height = IMAGE_WIDTH * images[0].shape[1] / images[0].shape[2]
    cell = 2 * IMAGE_WIDTH + WORDS_WIDTH + 3 * GAP
    figure = new_figure(2 * MARGIN + 2 * cell, _height(len(images), height))
    heading = place(figure, MARGIN, 0.05, 2 * cell, 0.4)
    heading.text(0, 0.5, title, fontsize=10.5, color=INK, va="center")
    for number, (image, tokens, one) in enumerate(zip(images, words, looked)):
        left = MARGIN + number % 2 * cell
        top = 0.5 + number // 2 * (height + 0.35)
        show_image(place(figure, left, top, IMAGE_WIDTH, height), image)
        over = place(figure, left + IMAGE_WIDTH + GAP / 2, top, IMAGE_WIDTH, height)
        show_image(over, image.float().mean(0, keepdim=True).expand(3, -1, -1) / 255)
        over.imshow(
            one.patches.numpy(),
            cmap=HEAT,
            alpha=0.6,
            aspect="auto",
            interpolation="nearest",
            extent=(0, 1, 0, 1),
        )
        _say_words(figure, left + 2 * IMAGE_WIDTH + 1.5 * GAP, top, tokens, one)
    return figure


def _height(count: int, height: float) -> float:
    return 0.5 + (count + 1) // 2 * (height + 0.35)


def _say_words(
    figure: Figure, left: float, top: float, tokens: Sequence[str], one: Looked
) -> None:
    """The tokens in lines, each on the colour of its share; below, how the attention divides."""
    axes = place(figure, left, top, WORDS_WIDTH, 2.5)
    axes.set(xlim=(0, WORDS_WIDTH), ylim=(2.5, 0))
    # [CLS_T] and [SEP] often get most of it, and would leave the words in the dark
    most = float(one.words[1 : len(tokens) - 1].max())
    across, line = 0.0, 0.0
    for token, share in zip(tokens, one.words.tolist()):
        width = 0.075 * len(token) + 0.09
        if across + width > WORDS_WIDTH:
            across, line = 0.0, line + LINE
        strength = min(1.0, share / most)
        axes.text(
            across + width / 2,
            line + LINE / 2,
            token,
            fontsize=7,
            family="monospace",
            ha="center",
            va="center",
            parse_math=False,
            color=INK if strength > 0.6 else "white",
            bbox={"facecolor": colormaps[HEAT](strength), "pad": 1.5, "linewidth": 0},
        )
        across += width + 0.03
    own = float(one.words[1 : len(tokens) - 1].sum())
    parts = (
        ("patches", float(one.patches.sum())),
        ("words", own),
        ("[CLS], [SEP]", float(one.words.sum()) - own),
        ("[CLS_I]", one.image_class),
        ("[CLS_M]", one.itself),
    )
    said = [f"{name} {share:.0%}" for name, share in parts]
    lines = "\n".join(",  ".join(part) for part in (said[:3], said[3:]))
    axes.text(0, line + 2.2 * LINE, lines, fontsize=6.5, color=FAINT, va="top")
