# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.modules.masking.patch_masking import (
    BlockPatchMasking,
    RandomPatchMasking,
)

BOTH = pytest.mark.parametrize("masking_class", [RandomPatchMasking, BlockPatchMasking])


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@BOTH
@pytest.mark.parametrize("grid", [(16, 8), (8, 4), (3, 7), (1, 1)])
@pytest.mark.parametrize("ratio", [0.0, 0.02, 0.15, 0.4, 0.75, 0.97, 1.0])
def test_every_sample_has_exactly_the_count(masking_class, grid, ratio, generator):
    masked = masking_class(ratio)(40, grid, generator=generator)
    num_patches = grid[0] * grid[1]
    assert masked.dtype == torch.bool and masked.shape == (40, num_patches)
    assert masked.sum(dim=1).tolist() == [round(ratio * num_patches)] * 40


@BOTH
def test_one_ratio_a_call_spans_the_range(masking_class, generator):
    masking = masking_class((0.25, 0.5))
    counts = [masking(3, (8, 4), generator=generator).sum(dim=1) for _ in range(300)]
    assert all(len(set(count.tolist())) == 1 for count in counts)
    # the range is 8 to 16 of 32 patches; the ends have half the chance of the others, 1 in 16
    assert {count[0].item() for count in counts} == set(range(8, 17))


@BOTH
def test_is_a_function_of_the_generator(masking_class):
    masking = masking_class((0.3, 0.5))
    before = torch.get_rng_state()
    first, again, other = (
        masking(4, (16, 8), generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({tuple(row.tolist()) for row in first}) == 4
    assert torch.equal(torch.get_rng_state(), before), "touched the global generator"


@BOTH
def test_follows_the_global_generator_without_one(masking_class):
    masking = masking_class((0.3, 0.5))
    torch.manual_seed(5)
    first = masking(4, (8, 4))
    torch.manual_seed(5)
    assert torch.equal(first, masking(4, (8, 4)))


@BOTH
def test_empty_batch(masking_class):
    assert masking_class(0.4)(0, (8, 4)).shape == (0, 32)


def test_its_ratio_is_printed():
    assert repr(RandomPatchMasking(0.25)) == "RandomPatchMasking(ratio=(0.25, 0.25))"
    assert repr(BlockPatchMasking(0.4, min_block=0.125, min_aspect=0.5)) == (
        "BlockPatchMasking(ratio=(0.4, 0.4), min_block=0.125, min_aspect=0.5)"
    )


@BOTH
def test_wrong_arguments(masking_class):
    with pytest.raises(ValueError, match=r"ratio is 40: expected one share"):
        masking_class(40)
    with pytest.raises(ValueError, match=r"grid must be .* got \(8, 0\)"):
        masking_class(0.4)(2, (8, 0))


def test_random_masks_every_patch_alike(generator):
    share = RandomPatchMasking(0.25)(20000, (8, 4), generator=generator).float()
    # the deviation of the mean is 0.0031
    torch.testing.assert_close(
        share.mean(dim=0), torch.full((32,), 0.25), rtol=0, atol=0.018
    )


def test_one_block_is_a_rectangle_anywhere_in_the_grid(generator):
    # with the smallest block as large as the count and square, 9 patches can only be 3 x 3
    masking = BlockPatchMasking(9 / 32, min_block=9 / 32, min_aspect=1.0)
    masked = masking(2000, (8, 4), generator=generator).view(-1, 8, 4)
    rows, columns = masked.any(dim=2), masked.any(dim=1)
    assert (rows.sum(dim=1) == 3).all() and (columns.sum(dim=1) == 3).all()
    top, left = rows.int().argmax(dim=1), columns.int().argmax(dim=1)
    # 6 x 2 places, 167 samples each, deviation 12.4
    counts = torch.bincount(top * 2 + left, minlength=12)
    assert len(counts) == 12 and counts.min() > 90 and counts.max() < 250


def test_blocks_are_as_wide_as_the_grid_lets_them(generator):
    # areas of 16 want 4 x 4 at least; in a grid of 2 columns they can only be 8 x 2
    masking = BlockPatchMasking(0.5, min_block=0.5)
    masked = masking(200, (16, 2), generator=generator).view(-1, 16, 2)
    assert (masked.all(dim=2).sum(dim=1) == 8).all()


def test_united_blocks_end_with_a_cut_one(generator, monkeypatch):
    masking = BlockPatchMasking(6 / 16)
    blocks = torch.zeros(4, 4, 4, dtype=torch.bool)
    blocks[0, :2, :2] = True  # four patches in a corner
    blocks[1, 0, :2] = True  # adds none
    blocks[2, 2:, 2:] = True  # adds four in another corner, of which two are wanted
    blocks[3] = True
    candidates = blocks.flatten(1).expand(64, -1, -1)
    monkeypatch.setattr(masking, "_draw_blocks", lambda *args: candidates)
    masked = masking(64, (4, 4), generator=generator).view(-1, 4, 4)
    assert masked[:, :2, :2].all()
    last = {tuple(corner.flatten().int().tolist()) for corner in masked[:, 2:, 2:]}
    # what is left of it touches its top, its bottom, its left or its right side
    assert last == {(1, 1, 0, 0), (0, 0, 1, 1), (1, 0, 1, 0), (0, 1, 0, 1)}


def test_blocks_hang_together(generator):
    masked = BlockPatchMasking(0.4)(500, (16, 8), generator=generator).view(-1, 16, 8)
    both = (masked[:, 1:] & masked[:, :-1]).float().mean()
    both = (both + (masked[:, :, 1:] & masked[:, :, :-1]).float().mean()) / 2
    # two neighbours are both masked with 0.4 ** 2 at random, and with 0.4 at most
    assert 0.27 < both < 0.4


@pytest.mark.parametrize("name", ["min_block", "min_aspect"])
@pytest.mark.parametrize("value", [0, 1.5])
def test_block_bounds(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be in \(0, 1\], got {value}"):
        BlockPatchMasking(0.4, **{name: value})
