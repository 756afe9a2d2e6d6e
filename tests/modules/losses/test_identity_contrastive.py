# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math

import pytest
import torch
from torch.nn import functional as F
from torchmultimodal.modules.losses.contrastive_loss_with_temperature import (
    contrastive_loss_with_temperature,
)
from torchmultimodal_reid.modules.losses.identity_contrastive import (
    GatheredPairs,
    IdentityContrastiveLoss,
)

BOTH = pytest.mark.parametrize("same_identity", ["positive", "ignore"])


@pytest.fixture
def embeddings():
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(6, 5, generator=generator, requires_grad=True),
        torch.randn(6, 5, generator=generator, requires_grad=True),
    )


@BOTH
def test_distinct_identities_give_the_usual_loss(same_identity, embeddings):
    image, text = embeddings
    identity = torch.arange(6)
    loss = IdentityContrastiveLoss(same_identity)(image, text, identity, identity, 4.0)
    expected = contrastive_loss_with_temperature(
        F.normalize(image, dim=-1),
        F.normalize(text, dim=-1),
        torch.tensor(math.log(4.0)),
    ).loss
    torch.testing.assert_close(loss, expected)


# cosines of images (rows) and texts: 1 where the axis is the same, else 0
AXES = torch.eye(3)
IMAGE = AXES[[0, 1, 2]]
TEXT = AXES[[0, 0, 2]]
IDENTITY = torch.tensor([7, 7, 9])


def log_share(of, *logits):
    return of - math.log(sum(math.exp(logit) for logit in logits))


def test_same_identity_is_positive():
    loss = IdentityContrastiveLoss("positive")(IMAGE, TEXT, IDENTITY, IDENTITY, 2.0)
    # logits, images by texts: [2 2 0], [0 0 0], [0 0 2]; the first two persons are one
    image = [log_share(2, 2, 2, 0), math.log(1 / 3), log_share(2, 0, 0, 2)]
    column = (log_share(2, 2, 0, 0) + log_share(0, 2, 0, 0)) / 2
    text = [column, column, log_share(2, 0, 0, 2)]
    assert loss.item() == pytest.approx(-(sum(image) + sum(text)) / 6)


def test_same_identity_is_ignored():
    loss = IdentityContrastiveLoss("ignore")(IMAGE, TEXT, IDENTITY, IDENTITY, 2.0)
    image = [log_share(2, 2, 0), log_share(0, 0, 0), log_share(2, 0, 0, 2)]
    text = [log_share(2, 2, 0), log_share(0, 0, 0), log_share(2, 0, 0, 2)]
    assert loss.item() == pytest.approx(-(sum(image) + sum(text)) / 6)


def test_one_identity(embeddings):
    one = torch.zeros(6, dtype=torch.long)
    # with nothing to tell apart, "ignore" has nothing to say, and "positive" wants all alike
    loss = IdentityContrastiveLoss("ignore")(*embeddings, one, one, 4.0)
    assert loss.item() == 0 and loss.requires_grad
    same = torch.ones(6, 5)
    loss = IdentityContrastiveLoss("positive")(same, same, one, one, 4.0)
    assert loss.item() == pytest.approx(math.log(6))


def test_a_row_without_a_positive_does_not_count():
    # the third image's person has no caption, the third caption's no image
    loss = IdentityContrastiveLoss("positive")(
        AXES, AXES, torch.tensor([0, 1, 2]), torch.tensor([0, 1, 3]), 2.0
    )
    assert loss.item() == pytest.approx(-log_share(2, 0, 0, 2))


def test_no_row_has_a_positive(embeddings):
    loss = IdentityContrastiveLoss("positive")(
        *embeddings, torch.arange(6), torch.arange(6) + 10, 4.0
    )
    loss.backward()
    assert loss.item() == 0
    assert all(embedding.grad.eq(0).all() for embedding in embeddings)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_are_finite(same_identity, dtype, embeddings):
    leaves = [embedding.detach().to(dtype).requires_grad_() for embedding in embeddings]
    identity = torch.tensor([0, 0, 1, 1, 1, 2])
    loss = IdentityContrastiveLoss(same_identity)(*leaves, identity, identity, 1e4)
    loss.backward()
    assert loss.isfinite() and all(leaf.grad.isfinite().all() for leaf in leaves)


@BOTH
def test_autocast_changes_nothing(same_identity, embeddings):
    identity = torch.tensor([0, 0, 1, 1, 1, 2])
    module = IdentityContrastiveLoss(same_identity)
    expected = module(*embeddings, identity, identity, 100.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = module(*embeddings, identity, identity, 100.0)
    assert torch.equal(loss, expected)


@BOTH
def test_the_scale_learns(same_identity, embeddings):
    scale = torch.tensor(4.0, requires_grad=True)
    identity = torch.tensor([0, 0, 1, 1, 1, 2])
    IdentityContrastiveLoss(same_identity)(
        *embeddings, identity, identity, scale
    ).backward()
    assert scale.grad.isfinite() and scale.grad != 0


@BOTH
def test_two_processes_give_what_one_would(same_identity, embeddings):
    image, text = embeddings
    identity = torch.tensor([0, 0, 1, 1, 0, 2])
    module = IdentityContrastiveLoss(same_identity)
    whole = module(image, text, identity, identity, 4.0)
    expected = torch.autograd.grad(whole, (image, text))
    parts = []
    for offset in (0, 3):
        own = slice(offset, offset + 3)
        gathered = GatheredPairs(image, text, identity, identity, offset)
        parts.append(
            module(
                image[own],
                text[own],
                identity[own],
                identity[own],
                4.0,
                gathered=gathered,
            )
        )
    mean = sum(parts) / 2
    torch.testing.assert_close(mean, whole)
    torch.testing.assert_close(torch.autograd.grad(mean, (image, text)), expected)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'positive' or 'ignore', got 'negative'"):
        IdentityContrastiveLoss("negative")
    four, three = torch.zeros(4, 2), torch.zeros(3, 2)
    with pytest.raises(ValueError, match=r"same number of rows, got \[4, 3, 4, 3\]"):
        IdentityContrastiveLoss()(four, three, torch.arange(4), torch.arange(3), 1.0)
    gathered = GatheredPairs(four, four, torch.arange(4), torch.arange(4), offset=2)
    with pytest.raises(ValueError, match="3 pairs from row 2 on"):
        IdentityContrastiveLoss()(
            three, three, torch.arange(3), torch.arange(3), 1.0, gathered=gathered
        )


def test_own_pair_is_left_out():
    # two images each of persons 7 and 9, contrasted with one another
    image = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])
    identity = torch.tensor([7, 7, 9, 9])
    loss = IdentityContrastiveLoss(own_pair="ignore")(
        image, image, identity, identity, 5.0
    )
    # each row: the cosine with its person's other image, then with strangers, times 5
    rows = [
        log_share(3.0, 3.0, 0.0, 4.0),
        log_share(3.0, 3.0, 4.0, 4.8),
        log_share(3.0, 3.0, 0.0, 4.0),
        log_share(3.0, 3.0, 4.0, 4.8),
    ]
    torch.testing.assert_close(loss, torch.tensor(-sum(rows) / 4))


@pytest.mark.parametrize("rows", [1, 3])
def test_without_another_image_of_anyone_the_loss_is_0_with_a_gradient_path(rows):
    image = torch.randn(rows, 4, requires_grad=True)
    identity = torch.arange(rows)
    loss = IdentityContrastiveLoss(own_pair="ignore")(
        image, image, identity, identity, 5.0
    )
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(image.grad, torch.zeros(rows, 4))


def test_own_pairs_are_left_out_wherever_a_process_holds_them():
    image = torch.randn(6, 4)
    identity = torch.tensor([1, 2, 1, 2, 1, 2])
    loss = IdentityContrastiveLoss(own_pair="ignore")
    whole = loss(image, image, identity, identity, 5.0)
    parts = [
        loss(
            image[rows],
            image[rows],
            identity[rows],
            identity[rows],
            5.0,
            gathered=GatheredPairs(image, image, identity, identity, offset),
        )
        for offset, rows in ((0, slice(0, 2)), (2, slice(2, 6)))
    ]
    torch.testing.assert_close(whole, (2 * parts[0] + 4 * parts[1]) / 6)


def test_leaving_out_every_positive_is_refused():
    with pytest.raises(ValueError, match="both 'ignore', which leaves no positive"):
        IdentityContrastiveLoss("ignore", "ignore")
    with pytest.raises(ValueError, match="own_pair must be 'positive' or 'ignore'"):
        IdentityContrastiveLoss(own_pair="negative")
