# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math
from typing import Tuple

import torch
from torch import nn, Tensor


def initialize_transformer_weights(module: nn.Module) -> None:
    """Initial weights of a transformer, in place, fit for any width.

    Linear and convolution weights are drawn with the standard deviation ``sqrt(1 / inputs)``, so that a layer's output
    is as large as its input at width 192 as well as at 768; BERT's fixed 0.02 suits the latter alone. Embeddings and
    class and mask tokens keep 0.02, biases are zero, norms one.

    Args:
        module (nn.Module): Whose linear, convolution, embedding and norm layers and tokens are set.
    """
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            inputs = part.weight[0].numel()
            nn.init.trunc_normal_(part.weight, std=math.sqrt(1 / inputs))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.trunc_normal_(part.weight, std=0.02)
            if part.padding_idx is not None:
                nn.init.zeros_(part.weight[part.padding_idx].detach())
        elif isinstance(part, (nn.LayerNorm, nn.GroupNorm)):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
        for name, parameter in part.named_parameters(recurse=False):
            if name.endswith("_token"):
                nn.init.trunc_normal_(parameter, std=0.02)


def sine_positions(grid: Tuple[int, int], d_model: int) -> Tensor:
    """Two-dimensional sine and cosine position embeddings, to start learned ones from.

    A patch's token is as large as these from the first step on; positions drawn with a deviation of 0.02 are drowned
    by its colours, and a small model trained on little data has to find first where on a body it looks. Reference:
    https://arxiv.org/abs/2111.06377.

    Args:
        grid (Tuple[int, int]): Rows and columns of patches.
        d_model (int): Width of the tokens, a multiple of 4.

    Returns:
        Tensor: Float of shape ``(1, 1 + rows * columns, d_model)``; zero for the class token, which comes first.

    Raises:
        ValueError: If ``d_model`` is not a multiple of 4.
    """
    if d_model % 4:
        raise ValueError(
            f"d_model must be a multiple of 4 for two-dimensional positions, got {d_model}"
        )
    frequency = 10000.0 ** -(torch.arange(d_model // 4) / (d_model // 4))
    rows = torch.arange(grid[0]).repeat_interleave(grid[1])
    columns = torch.arange(grid[1]).repeat(grid[0])
    angles = [place.unsqueeze(1) * frequency for place in (columns, rows)]
    patches = torch.cat(
        [wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1
    )
    return torch.cat([torch.zeros(1, d_model), patches]).unsqueeze(0)
