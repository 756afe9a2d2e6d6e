# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""MMETForPretraining and the losses that read it, at the edges: nothing masked, nobody else in the batch."""

import pytest
import torch
from torchmultimodal_reid.modules.losses.identity_contrastive import (
    IdentityContrastiveLoss,
)
from torchmultimodal_reid.modules.losses.image_text_matching import (
    ImageTextMatchingLoss,
)
from torchmultimodal_reid.modules.losses.masked_prediction import (
    MaskedClassificationLoss,
    MaskedRegressionLoss,
)


def compute_losses(output, identity):
    losses = {}
    for name, loss in (
        ("mim", MaskedRegressionLoss()),
        ("mlm", MaskedClassificationLoss()),
        ("mmm_image", MaskedRegressionLoss()),
        ("mmm_text", MaskedClassificationLoss()),
        ("itm", ImageTextMatchingLoss()),
    ):
        if getattr(output, name) is not None:
            losses[name] = loss(*getattr(output, name))
    if output.image_embedding is not None:
        losses["gc"] = IdentityContrastiveLoss()(
            output.image_embedding,
            output.text_embedding,
            identity,
            identity,
            output.logit_scale,
        )
    return losses


def check_gradients(model, losses):
    sum(losses.values()).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_nothing_and_everything_masked(build_pretraining, pairs, ratio):
    model = build_pretraining(ratio=ratio)
    output = model(*pairs)
    count = {0.0: 0, 1.0: 4 * 8}[ratio]
    assert output.mim.prediction.shape == (count, 3 * 8 * 8)
    losses = compute_losses(output, pairs.identity)
    for name in ("mim", "mlm", "mmm_image", "mmm_text"):
        assert (losses[name] > 0) == (ratio > 0) and losses[name].isfinite()
    check_gradients(model, losses)


@pytest.mark.parametrize("given", [("image",), ("text", "text_padding")])
def test_nothing_masked_of_one_modality(build_pretraining, pairs, given):
    model = build_pretraining(ratio=0.0)
    output = model(**{name: getattr(pairs, name) for name in given})
    losses = compute_losses(output, pairs.identity)
    assert [loss.item() for loss in losses.values()] == [0.0, 0.0]
    check_gradients(model, losses)


def test_a_batch_of_one_person(build_pretraining, pairs):
    model = build_pretraining()
    identity = torch.full((4,), 7)
    output = model(*pairs._replace(identity=identity))
    # no caption is of another person: only the pairs as they are
    assert output.itm.logits.shape == (4, 2) and output.itm.is_match.all()
    check_gradients(model, compute_losses(output, identity))


def test_a_batch_of_one_pair(build_pretraining, pairs):
    model = build_pretraining()
    one = pairs._make(part[:1] for part in pairs)
    output = model(*one)
    assert output.itm.is_match.tolist() == [True]
    check_gradients(model, compute_losses(output, one.identity))


def test_under_autocast(build_pretraining, pairs):
    model = build_pretraining()
    with torch.autocast("cpu", torch.bfloat16):
        losses = compute_losses(model(*pairs), pairs.identity)
    assert len(losses) == 6
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    check_gradients(model, losses)
