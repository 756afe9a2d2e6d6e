# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.modules.masking.draws import draw_ratio, uniform
from torchmultimodal_reid.modules.masking.multimodal import MaskedMultimodalModeling
from torchmultimodal_reid.modules.masking.patch_masking import BlockPatchMasking
from torchmultimodal_reid.modules.masking.row_draws import (
    _mix,
    _signed,
    RowDraws,
    take_rows,
)
from torchmultimodal_reid.modules.masking.token_masking import TokenMasking

INDEX = torch.tensor([5, 3, 8, 3, 0, 7])
DRAW = torch.tensor([2, 2, 2, 9, 2, 2])


ALL = slice(None)


def draws(rows=ALL):
    return RowDraws(11, INDEX[rows], DRAW[rows])


def test_mixing_is_that_of_splitmix64():
    # the first two numbers that the published generator gives from the state 0
    states = torch.tensor([_signed(i * 0x9E3779B97F4A7C15) for i in (1, 2)])
    expected = [_signed(0xE220A8397B1DCDAF), _signed(0x6E789E6AA1B965F4)]
    assert _mix(states).tolist() == expected


def test_uniform_and_integers_are_alike_everywhere():
    source = RowDraws(0, torch.arange(4000))
    numbers = source.uniform((4000, 5))
    assert numbers.dtype == torch.float32 and 0 <= numbers.min() and numbers.max() < 1
    # deviation of each mean 0.0046, of the correlations 0.016
    torch.testing.assert_close(
        numbers.mean(dim=0), torch.full((5,), 0.5), rtol=0, atol=0.023
    )
    both = torch.cat([numbers, source.uniform((4000, 5))], dim=1)
    torch.testing.assert_close(both.T.corrcoef(), torch.eye(10), rtol=0, atol=0.08)
    # neighbouring rows know nothing of each other
    assert abs(torch.stack([numbers[:-1, 0], numbers[1:, 0]]).corrcoef()[0, 1]) < 0.08
    counts = torch.bincount(source.integers(7, (4000, 5)).flatten())
    # 2857 each, deviation 49
    assert len(counts) == 7 and counts.min() > 2600 and counts.max() < 3100


@pytest.mark.parametrize("change", ["seed", "index", "draw"])
def test_each_key_counts(change):
    other = RowDraws(
        12 if change == "seed" else 11,
        INDEX + (change == "index"),
        DRAW + (change == "draw"),
    )
    assert not (other.uniform((6, 2)) == draws().uniform((6, 2))).any()


def test_row_does_not_depend_on_the_rows_beside_it():
    whole = draws()
    for shape in ((6,), (6, 3), (6, 2, 4)):
        expected = uniform(shape, whole, "cpu")
    for rows in (slice(0, 3), slice(3, 6), torch.tensor([4, 1])):
        part = draws(rows)
        for shape in ((), (9,), (2, 4)):
            found = uniform((len(part), *shape), part, "cpu")
        assert torch.equal(found, expected[rows])
    assert not torch.equal(expected[1], expected[3]), "same index, another draw"


def test_longer_rows_begin_the_same():
    assert torch.equal(draws().uniform((6, 9))[:, :4], draws().uniform((6, 4)))


def test_shared_number_is_that_of_any_rows():
    numbers = {draw_ratio((0.2, 0.6), draws(rows)) for rows in (slice(0, 2), slice(6))}
    assert len(numbers) == 1 and 0.2 <= numbers.pop() < 0.6


def test_rows_of_a_source_go_on_from_where_it_is():
    whole = draws()
    whole.uniform((6, 2))
    part = take_rows(whole, torch.tensor([4, 1]))
    assert torch.equal(part.uniform((2, 3)), whole.uniform((6, 3))[[4, 1]])
    generator = torch.Generator()
    assert take_rows(generator, torch.tensor([0])) is generator


def test_another_number_of_rows_is_an_error():
    with pytest.raises(ValueError, match="for 6 rows, but 2 were asked for"):
        draws().uniform((2, 3))


def test_masks_of_a_batch_are_those_of_its_parts():
    """However many processes have a part each, and however long the longest caption of a part is."""
    masking = MaskedMultimodalModeling(
        BlockPatchMasking((0.3, 0.6)),
        TokenMasking(30, 4, [0, 1, 2, 3], ratio=(0.2, 0.5)),
    )
    text = torch.randint(5, 30, (6, 12), generator=torch.Generator().manual_seed(0))
    for row, length in enumerate((4, 7, 5, 12, 9, 6)):
        text[row, length:] = 0
    whole = masking((8, 4), text, generator=draws())
    assert whole.masked_patches.any() and whole.masked_tokens.any()
    for size in (1, 2, 3):
        for start in range(0, 6, size):
            rows = slice(start, start + size)
            own = text[rows, : int((text[rows] > 0).sum(dim=1).max())]
            part = masking((8, 4), own, generator=draws(rows))
            assert torch.equal(part.masked_patches, whole.masked_patches[rows])
            for found, expected in zip(part[1:], whole[1:]):
                assert torch.equal(found, expected[rows, : own.shape[1]])
