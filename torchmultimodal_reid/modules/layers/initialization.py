# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from torch import nn


def initialize_transformer_weights(module: nn.Module, std: float = 0.02) -> None:
    """BERT's and FLAVA's initial weights, in place: normal with ``std``, biases zero, norms one.

    Class and mask tokens and positions, which are bare parameters, are drawn in the same way: at zero, two tokens of
    the same patch could not be told apart at first.

    Args:
        module (nn.Module): Whose linear, convolution, embedding and norm layers and bare parameters are set.
        std (float): Standard deviation. Default: 0.02.
    """
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv2d)):
            nn.init.trunc_normal_(part.weight, std=std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.trunc_normal_(part.weight, std=std)
            if part.padding_idx is not None:
                nn.init.zeros_(part.weight[part.padding_idx].detach())
        elif isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
        for name, parameter in part.named_parameters(recurse=False):
            if name.endswith(("_token", "position_embeddings")):
                nn.init.trunc_normal_(parameter, std=std)
