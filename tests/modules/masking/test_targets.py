# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchmultimodal.models.flava.model import DalleVAEEncoder
from torchmultimodal.models.vqvae import VQVAE
from torchmultimodal_reid.modules.masking.targets import (
    CodebookTargets,
    patch_grid,
    PixelTargets,
)


@pytest.fixture
def image():
    # every pixel has its own value
    return torch.arange(2 * 3 * 8 * 4, dtype=torch.float).view(2, 3, 8, 4)


def test_pixels_have_the_order_of_a_patch_embedding(image):
    embedding = nn.Conv2d(3, 12, kernel_size=2, stride=2, bias=False)
    nn.init.eye_(embedding.weight.data.view(12, 12))
    expected = embedding(image).flatten(2).transpose(1, 2)
    targets = PixelTargets(patch_size=2, normalize=False)(image)
    torch.testing.assert_close(targets, expected)
    # the first patch: two rows of two pixels in each of three channels
    assert targets[0, 0].tolist() == [0, 1, 4, 5, 32, 33, 36, 37, 64, 65, 68, 69]


def test_to_image_puts_the_patches_back(image):
    module = PixelTargets(patch_size=2, normalize=False)
    assert torch.equal(module.to_image(module(image), (4, 2)), image)


def test_normalised_patches():
    # left patch 0, 0, 2, 2 has mean 1 and variance 4 / 3, the right one is of one colour
    image = torch.tensor([[[[0.0, 0.0, 5.0, 5.0], [2.0, 2.0, 5.0, 5.0]]]])
    targets = PixelTargets(patch_size=2, eps=0.0)(image)
    torch.testing.assert_close(
        targets[0, 0], torch.tensor([-1.0, -1.0, 1.0, 1.0]) * 0.75**0.5
    )
    targets = PixelTargets(patch_size=2)(image)
    assert targets[0, 1].tolist() == [0.0] * 4


def test_denormalize_is_the_inverse(image):
    module = PixelTargets(patch_size=4)
    restored = module.to_image(module.denormalize(module(image), image), (2, 1))
    torch.testing.assert_close(restored, image)
    # zeros stand for a patch's mean colour
    patches = module.denormalize(torch.zeros(2, 2, 48), image)
    means = PixelTargets(4, normalize=False)(image).mean(dim=-1, keepdim=True)
    torch.testing.assert_close(patches, means.expand_as(patches))


def test_denormalize_without_normalisation(image):
    module = PixelTargets(patch_size=4, normalize=False)
    patches = module(image)
    assert module.denormalize(patches, image) is patches


def test_targets_are_float32_without_gradient(image):
    targets = PixelTargets(patch_size=4)(image.bfloat16().requires_grad_())
    assert targets.dtype == torch.float32 and not targets.requires_grad


def test_wrong_images(image):
    with pytest.raises(
        ValueError, match="image of 8x4 pixels cannot be cut into patches of 3 pixels"
    ):
        PixelTargets(3)(image)
    with pytest.raises(ValueError, match=r"floating .* got torch.uint8 \(2, 3, 8, 4\)"):
        PixelTargets(4)(image.to(torch.uint8))
    with pytest.raises(
        ValueError, match=r"shape \(b, c, h, w\), got torch.float32 \(3, 8, 4\)"
    ):
        PixelTargets(4)(image[0])
    with pytest.raises(ValueError, match="patch_size must be >= 1, got 0"):
        PixelTargets(0)


def test_wrong_patches():
    with pytest.raises(
        ValueError,
        match=r"\(b, 8, channels \* 4\) for a grid of 4x2 .* got \(1, 7, 12\)",
    ):
        PixelTargets(2).to_image(torch.zeros(1, 7, 12), (4, 2))


def test_patch_grid(image):
    assert patch_grid(image, 2) == (4, 2)


def brightness_vqvae():
    """A VQVAE whose encoder is the mean of 2x2 pixels and whose codes are 0, 10 and 20."""
    model = VQVAE(
        nn.AvgPool2d(2), nn.Upsample(scale_factor=2), num_embeddings=3, embedding_dim=1
    )
    model.codebook.embedding.copy_(torch.tensor([[0.0], [10.0], [20.0]]))
    return model


CODES = torch.tensor([[[0, 2], [1, 1], [2, 0]], [[1, 0], [0, 0], [2, 2]]])


@pytest.fixture
def coded_image():
    # 2x2 pixels a code, each near the value of its code
    image = F.interpolate(CODES.unsqueeze(1) * 10.0, scale_factor=2)
    return image + torch.tensor([-3.0, 3.0] * 2)


def test_codes_of_a_vqvae(coded_image):
    targets = CodebookTargets(brightness_vqvae(), patch_size=2, method="encode")(
        coded_image
    )
    assert torch.equal(targets, CODES.flatten(1)) and targets.dtype == torch.long


def test_codes_of_a_resized_image(coded_image):
    targets = CodebookTargets(
        brightness_vqvae(), patch_size=4, method="encode", scale=0.5
    )
    large = F.interpolate(coded_image, scale_factor=2)
    assert torch.equal(targets(large), CODES.flatten(1))


def test_flat_codes():
    codes = torch.tensor([[3, 1], [0, 2]])
    assert torch.equal(
        CodebookTargets(Returns(codes), 2)(torch.zeros(2, 3, 4, 2)), codes
    )


def test_the_codebook_is_frozen(coded_image):
    codebook = brightness_vqvae()
    codebook.encoder = nn.Sequential(codebook.encoder, nn.Conv2d(1, 1, 1))
    before = {name: value.clone() for name, value in codebook.state_dict().items()}
    # a VQVAE in training mode moves its codes at every call
    targets = CodebookTargets(codebook.train(), patch_size=2, method="encode").train()
    targets(coded_image.requires_grad_())
    assert targets.training and not any(
        module.training for module in codebook.modules()
    )
    assert not targets.eval().training and targets.train().training
    assert not any(parameter.requires_grad for parameter in targets.parameters())
    for name, value in codebook.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_codes_of_the_dvae():
    # 8 pixels a code: patches of 16 pixels need half the image
    codebook = DalleVAEEncoder(pretrained=False)
    image = torch.rand(1, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    targets = CodebookTargets(codebook, patch_size=16, scale=0.5)(image)
    assert targets.shape == (1, 2) and targets.dtype == torch.long
    with pytest.raises(
        ValueError, match="gives 4x2 codes but the image has 2x1 patches of 16 pixels"
    ):
        CodebookTargets(codebook, patch_size=16)(image)


class Returns(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, image):
        return self.value


def test_a_grid_that_does_not_fit(coded_image):
    targets = CodebookTargets(brightness_vqvae(), patch_size=1, method="encode")
    with pytest.raises(
        ValueError, match="gives 3x2 codes but the image has 6x4 patches of 1 pixels"
    ):
        targets(coded_image)
    # as many codes, but another grid
    with pytest.raises(
        ValueError, match="gives 2x4 codes but the image has 4x2 patches"
    ):
        CodebookTargets(Returns(torch.zeros(1, 2, 4, dtype=torch.long)), 2)(
            torch.zeros(1, 3, 8, 4)
        )
    with pytest.raises(ValueError, match="gives 9 codes but the image has 8 patches"):
        CodebookTargets(Returns(torch.zeros(1, 9, dtype=torch.long)), 2)(
            torch.zeros(1, 3, 8, 4)
        )


def test_no_indices(coded_image):
    with pytest.raises(
        ValueError, match="VQVAE.forward must return integer indices .* got VQVAEOutput"
    ):
        CodebookTargets(brightness_vqvae(), patch_size=2)(coded_image)
    with pytest.raises(ValueError, match="got torch.float32"):
        CodebookTargets(Returns(torch.zeros(1, 4, 2)), 2)(torch.zeros(1, 3, 8, 4))


def test_wrong_codebook_arguments():
    with pytest.raises(ValueError, match="Returns has no method 'encode'"):
        CodebookTargets(Returns(None), 2, method="encode")
    with pytest.raises(
        ValueError, match="patch_size must be >= 1 and scale > 0, got 2 and 0"
    ):
        CodebookTargets(Returns(None), 2, scale=0)
