# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal.models.flava.model import flava_model
from torchmultimodal_reid.models.flava import load_flava
from torchmultimodal_reid.models.mmet import mmet
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask
from torchmultimodal_reid.utils.errors import CheckpointError

WIDTH, HEADS, FEEDFORWARD, VOCAB, LENGTH = 48, 4, 96, 60, 12


@pytest.fixture
def flava():
    torch.manual_seed(0)
    sizes = {}
    for part, n_layer in (("image", 3), ("text", 2), ("multimodal", 2)):
        sizes[f"{part}_hidden_size"] = WIDTH
        sizes[f"{part}_num_attention_heads"] = HEADS
        sizes[f"{part}_num_hidden_layers"] = n_layer
        sizes[f"{part}_intermediate_size"] = FEEDFORWARD
    model = flava_model(
        **sizes,
        image_size=64,
        vocab_size=VOCAB,
        max_position_embeddings=LENGTH,
        text_and_image_proj_size=WIDTH,
    )
    with torch.no_grad():
        for (
            parameter
        ) in (
            model.parameters()
        ):  # biases and tokens that are zero at first would prove nothing
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def build(image_size=(64, 64), max_text_length=LENGTH, image_n_layer=3):
    sizes = {}
    for part, n_layer in (("image", image_n_layer), ("text", 2), ("mm", 2)):
        sizes[f"{part}_d_model"] = WIDTH
        sizes[f"{part}_n_head"] = HEADS
        sizes[f"{part}_n_layer"] = n_layer
        sizes[f"{part}_dim_feedforward"] = FEEDFORWARD
    return mmet(
        **sizes,
        image_size=image_size,
        vocab_size=VOCAB,
        max_text_length=max_text_length,
        projection_dim=WIDTH,
    ).eval()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(2, 3, 64, 64, generator=generator)
    text = torch.randint(5, VOCAB, (2, LENGTH), generator=generator)
    masked_patches = torch.rand(2, 16, generator=generator) < 0.4
    masked_text = text.clone()
    masked_text[:, 3] = 4
    return image, text, masked_patches, masked_text


def test_hidden_states_are_flavas(flava, batch):
    image, text, masked_patches, masked_text = batch
    model = build()
    report = load_flava(model, flava.state_dict())
    assert all("pooler" in name for name in report.ignored) and len(report.ignored) == 6

    with torch.no_grad():
        expected = flava(
            image, text, masked_patches, masked_text, skip_unmasked_mm_encoder=False
        )
        seen = model(image, text)
        masked = model(
            image, text, mask=MultimodalMask(masked_patches, None, masked_text)
        )

    for ours, theirs in (
        (seen.image.tokens, expected.image.last_hidden_state),
        (seen.image.hidden, expected.image.hidden_states[-1]),
        (seen.text.tokens, expected.text.last_hidden_state),
        (seen.multimodal, expected.multimodal.last_hidden_state),
        (masked.image.tokens, expected.image_masked.last_hidden_state),
        (masked.text.tokens, expected.text_masked.last_hidden_state),
        (masked.multimodal, expected.multimodal_masked.last_hidden_state),
        (model.image_projection(seen.image.cls), expected.projected_image_embeddings),
        (model.text_projection(seen.text.cls), expected.projected_text_embeddings),
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    assert not torch.allclose(seen.multimodal, masked.multimodal, atol=1e-2)


def test_padding_is_masked_as_flava_masks_it(flava, batch):
    text = batch[1]
    text[0, 7:] = 0
    model = build()
    load_flava(model, flava.state_dict())
    with torch.no_grad():
        ours = model.encode_text(text, text == 0).tokens
        theirs = flava.encode_text(text).last_hidden_state
    torch.testing.assert_close(ours[0, :7], theirs[0, :7], rtol=0, atol=1e-4)
    torch.testing.assert_close(ours[1], theirs[1], rtol=0, atol=1e-4)


def test_person_shaped_images_get_interpolated_positions(flava):
    model = build(image_size=(128, 32), max_text_length=8)
    load_flava(model, flava.state_dict(), interpolate_positions=True)
    positions = model.image_encoder.embeddings.position_embeddings
    assert positions.shape == (1, 1 + 8 * 2, WIDTH)
    theirs = flava.image_encoder.embeddings.position_embeddings
    torch.testing.assert_close(positions[:, 0], theirs[:, 0])
    # interpolation keeps the mean of the grid, up to how its borders are weighted
    torch.testing.assert_close(
        positions[:, 1:].mean(1), theirs[:, 1:].mean(1), rtol=0, atol=0.05
    )


@pytest.mark.parametrize("size, grid", [((128, 32), "8x2"), ((32, 32), "2x2")])
def test_positions_of_another_grid_are_not_interpolated_unasked(size, grid, flava):
    # 8x2 patches are as many as 4x4, so that their number alone would not tell
    model = build(image_size=size)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(
        CheckpointError,
        match=f"FLAVA has positions for 4x4 patches, but the model's images have {grid}; .*interpolate_positions=True",
    ):
        load_flava(model, flava.state_dict())
    assert all(torch.equal(value, before[n]) for n, value in model.state_dict().items())


def test_another_depth_is_refused(flava):
    with pytest.raises(CheckpointError, match="missing: image_encoder.encoder.layer.3"):
        load_flava(build(image_n_layer=4), flava.state_dict())
