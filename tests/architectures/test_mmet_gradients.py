# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Which parameters train, to the last one: a part that silently gets no gradient is a part that is not there."""

import torch
from torch import nn
from torchmultimodal_reid.models.mmet import mmet_for_reid


def names(prefix, *parts):
    """Weight and bias of each part."""
    return {f"{prefix}{part}.{name}" for part in parts for name in ("weight", "bias")}


def without_gradient(model):
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }


def backward(output):
    """A loss that depends on every field."""
    loss = output.logit_scale
    for part in (output.mim, output.mlm, output.mmm_image, output.mmm_text):
        if part is not None:
            loss = loss + part.prediction.square().sum()
    if output.itm is not None:
        loss = loss + output.itm.logits.square().sum()
    if output.image_embedding is not None:
        loss = loss + (output.image_embedding * output.text_embedding).sum()
    loss.backward()


def test_paired_pretraining(build_pretraining, pairs):
    model = build_pretraining()
    backward(model(*pairs))
    assert without_gradient(model) == set()


def test_pretraining_on_images(build_pretraining, pairs):
    model = build_pretraining()
    backward(model(pairs.image))
    unused = {
        name for name, _ in model.named_parameters() if "text" in name or "mlm" in name
    }
    assert without_gradient(model) == unused | names(
        "", "itm_head", "mmet.image_projection"
    )


def test_pretraining_on_captions(build_pretraining, pairs):
    model = build_pretraining()
    backward(model(text=pairs.text, text_padding=pairs.text_padding))
    unused = {
        name for name, _ in model.named_parameters() if "image" in name or "mim" in name
    }
    assert without_gradient(model) == unused | names(
        "", "itm_head", "mmet.text_projection"
    )


def test_no_gradient_flows_through_the_choice_of_negatives(build_pretraining, pairs):
    model = build_pretraining()
    model(*pairs).itm.logits.square().sum().backward()
    expected = names("mmet.", "image_projection", "text_projection")
    assert expected | {"log_logit_scale"} < without_gradient(model)


def test_reid(build_mmet, pairs):
    model = mmet_for_reid(build_mmet(), num_identities=3)
    output = model(*pairs[:3])
    loss = sum(
        nn.functional.cross_entropy(neck.logits, pairs.identity) for neck in output
    )
    loss.backward()
    assert without_gradient(model) == {
        # nothing is masked
        "mmet.image_encoder.embeddings.mask_token",
        # the multimodal encoder takes the states before these norms
        *names("mmet.", "image_encoder.norm", "text_encoder.norm"),
        # the contrastive loss's
        *names("mmet.", "image_projection", "text_projection"),
        # frozen: the identities' planes go through the origin
        "neck.norm.bias",
    }


def test_token_types_and_padding_stay(build_mmet, pairs):
    model = mmet_for_reid(build_mmet(), num_identities=3)
    model(*pairs[:3]).fused.logits.square().sum().backward()
    embeddings = model.mmet.text_encoder.embeddings
    # captions are one sentence: its second token type is never used
    types = embeddings.token_type_embeddings.weight.grad
    assert types[0].any() and not types[1].any()
    words = embeddings.word_embeddings.weight.grad
    used = torch.zeros(20, dtype=torch.bool)
    used[pairs.text[~pairs.text_padding]] = True
    assert torch.equal(words.any(dim=1), used)
