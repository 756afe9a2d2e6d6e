# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import torch
from torch import nn, Tensor


class GeneralizedMeanPooling(nn.Module):
    """Pools a feature map by its generalised mean: between the average (``p = 1``) and the maximum (``p`` to infinity).

    Reference: https://arxiv.org/abs/1711.02512. Computed in float32, also under autocast: powers leave bfloat16's range
    of useful digits quickly.

    Args:
        p (float): The exponent to start from. Default: 3.0
        eps (float): Lower bound of the features, which must not be negative for a power to exist. Default: 1e-6
        learnable (bool): Whether the exponent is trained. Default: True

    Inputs:
        features (Tensor): A feature map of shape ``(b, c, h, w)``.

    Returns:
        Tensor: Of shape ``(b, c)``, in the dtype of the features.

    Raises:
        ValueError: If ``p`` or ``eps`` is not positive.
    """

    def __init__(
        self, p: float = 3.0, eps: float = 1e-6, learnable: bool = True
    ) -> None:
        super().__init__()
        if not 0 < p < float("inf") or not 0 < eps < float("inf"):
            raise ValueError(f"p and eps must be above 0, got {p} and {eps}")
        self.eps = eps
        # one-dimensional, so that weight decay leaves it alone
        self.p = nn.Parameter(torch.full((1,), float(p)), requires_grad=learnable)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            powers = features.float().clamp(min=self.eps).pow(self.p)
            pooled = powers.mean(dim=(2, 3)).pow(1 / self.p)
        return pooled.to(features.dtype)

    def extra_repr(self) -> str:
        return f"p={self.p.item():.3g}, eps={self.eps}"
