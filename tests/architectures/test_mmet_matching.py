# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Image-text matching on an MMET whose fused [CLS_M] says which image met which caption."""

import pytest
import torch
from torch import nn
from torchmultimodal_reid.architectures.mmet_pretraining import MMETForPretraining
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask

NOTHING = MultimodalMask()


def of_people(*people, length=5):
    """An image whose first channel is the person's number, a caption of as many words, and the padding."""
    identity = torch.tensor(people)
    image = torch.zeros(len(people), 3, 8, 4)
    image[:, 0] = identity.view(-1, 1, 1).float()
    padding = torch.arange(length) >= identity.view(-1, 1)
    # the id of each word is the person's number too
    text = identity.view(-1, 1).expand(-1, length).masked_fill(padding, 0)
    return image, text, padding, identity


@pytest.fixture
def model(closed_form_mmet):
    return MMETForPretraining(closed_form_mmet, itm_head=nn.Identity())


def match(model, *people, seed=0):
    image, text, padding, identity = of_people(*people)
    generator = torch.Generator().manual_seed(seed)
    return model(image, text, padding, identity, NOTHING, generator).itm


def test_own_captions_come_first_and_match(model):
    logits, is_match = match(model, 1, 2, 3)
    # person of the image, person of the caption, padding of the caption
    assert logits[:3].tolist() == [[1, 1, 4], [2, 2, 3], [3, 3, 2]]
    assert is_match.tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize("seed", range(10))
def test_a_caption_of_the_same_person_is_never_a_negative(model, seed):
    logits, is_match = match(model, 1, 1, 2, 1, 3, seed=seed)
    of_image, of_caption, padding = logits[~is_match].T
    assert of_image.tolist() == [1, 1, 2, 1, 3]
    assert (of_image != of_caption).all()
    # a caption brings its own padding along
    assert torch.equal(padding, 5 - of_caption)


def test_every_other_person_can_be_a_negative(model):
    drawn = {
        match(model, 1, 1, 2, 3, seed=seed).logits[4, 1].item() for seed in range(40)
    }
    assert drawn == {2, 3}


def test_the_hardest_caption_is_taken(model):
    # the projections decide what is similar: 1 and 3 point the same way, 2 the opposite one
    model.mmet.image_projection = model.mmet.text_projection = Sign()
    with torch.no_grad():
        model.log_logit_scale.fill_(4.0)
    for seed in range(10):
        logits = match(model, 1, 2, 3, seed=seed).logits
        assert logits[3].tolist()[:2] == [1, 3] and logits[5].tolist()[:2] == [3, 1]


class Sign(nn.Module):
    def forward(self, cls):
        return torch.where(cls[:, :1] == 2, -1.0, 1.0)


def test_one_person_alone_has_no_negatives(model):
    logits, is_match = match(model, 2, 2, 2)
    assert logits.shape == (3, 3) and is_match.all()


def test_captions_without_padding(model):
    image, text, _, identity = of_people(5, 5, 4)
    text[2] = 4
    logits = model(image, text, None, identity, NOTHING).itm.logits
    assert logits[:, 2].tolist() == [0] * 6
    assert logits[3:, 1].tolist()[:2] == [4, 4] and logits[5, 1] == 5


def test_the_pairs_are_of_the_masked_stream(model):
    image, text, padding, identity = of_people(1, 2)
    hidden = MultimodalMask(None, None, torch.full_like(text, 9))
    logits = model(image, text, padding, identity, hidden).itm.logits
    assert logits[:, 1].tolist() == [9] * 4


def test_identity_is_needed(model):
    image, text, padding, _ = of_people(1, 2)
    with pytest.raises(ValueError, match="image-text matching needs identity"):
        model(image, text, padding, mask=NOTHING)
    # but not by images alone, nor without the head
    assert model(image, mask=NOTHING).itm is None
    model.itm_head = None
    assert model(image, text, padding, mask=NOTHING).itm is None
