# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from collections import Counter

import pytest
from torchmultimodal_reid.data.dataset import SampleKey
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.samplers import (
    IdentitySampler,
    ShuffleSampler,
    StepBatchSampler,
)

# identities 10, 20, ... 70 with 1 to 7 images, in a scattered order
IDENTITIES = [10 * n for n in range(1, 8) for _ in range(n)]
IDENTITIES = IDENTITIES[::2] + IDENTITIES[1::2]


def identities_of(keys, identities=IDENTITIES):
    return [identities[key.index] for key in keys]


class TestIdentitySampler:
    def test_batch_has_p_identities_with_k_images_each(self):
        sampler = IdentitySampler(IDENTITIES, p=3, k=4, seed=0)
        for step in range(20):
            counts = Counter(identities_of(sampler.batch(step)))
            assert len(counts) == 3 and set(counts.values()) == {4}

    def test_epoch_visits_every_identity(self):
        sampler = IdentitySampler(IDENTITIES, p=3, k=2, seed=0)
        assert sampler.batches_per_epoch == 3  # 7 identities in groups of 3
        for epoch in range(5):
            steps = range(3 * epoch, 3 * epoch + 3)
            seen = [i for step in steps for i in identities_of(sampler.batch(step))]
            assert set(seen) == set(IDENTITIES)

    def test_images_of_a_visit_are_different_where_there_are_enough(self):
        sampler = IdentitySampler(IDENTITIES, p=7, k=4, seed=0)
        for step in range(20):
            groups = {}
            for key in sampler.batch(step):
                groups.setdefault(IDENTITIES[key.index], []).append(key.index)
            for identity, indices in groups.items():
                assert len(set(indices)) == min(4, identity // 10)

    def test_all_images_come_before_any_comes_again(self):
        # 6 images in visits of 2: three visits show all of them
        sampler = IdentitySampler([0] * 6 + [1] * 6, p=2, k=2, seed=3)
        for cycle in range(4):
            keys = [k for step in range(3) for k in sampler.batch(3 * cycle + step)]
            assert sorted(key.index for key in keys) == list(range(12))

    def test_no_image_is_left_out_when_k_does_not_divide(self):
        sampler = IdentitySampler([0] * 7, p=1, k=4, seed=0)
        assert {k.index for step in (0, 1) for k in sampler.batch(step)} == set(
            range(7)
        )

    def test_images_come_from_different_cameras(self):
        cameras = [0, 0, 0, 0, 0, 1, 2, 3]
        sampler = IdentitySampler([5] * 8, p=1, k=4, seed=0, cameras=cameras)
        for cycle in range(10):
            first = sampler.batch(2 * cycle)
            assert sorted(cameras[key.index] for key in first) == [0, 1, 2, 3]

    def test_order_changes_with_the_epoch_and_the_seed(self):
        one = IdentitySampler(list(range(50)), p=50, k=1, seed=1)
        two = IdentitySampler(list(range(50)), p=50, k=1, seed=2)
        orders = [[key.index for key in s.batch(e)] for s in (one, two) for e in (0, 1)]
        assert all(sorted(order) == list(range(50)) for order in orders)
        assert len({tuple(order) for order in orders}) == 4

    def test_batch_depends_on_the_step_alone(self):
        sampler = IdentitySampler(IDENTITIES, p=3, k=2, seed=0)
        forward = [sampler.batch(step) for step in range(12)]
        assert [sampler.batch(step) for step in reversed(range(12))] == forward[::-1]
        fresh = IdentitySampler(IDENTITIES, p=3, k=2, seed=0)
        assert fresh.batch(11) == forward[11]

    def test_draw_is_the_step_and_repeats_get_another(self):
        sampler = IdentitySampler([0, 1, 1, 1], p=2, k=3, seed=0)
        keys = sampler.batch(7)
        alone = [key for key in keys if key.index == 0]
        assert len(alone) == 3 and len(set(alone)) == 3
        assert alone[0] == SampleKey(0, 7)
        assert all(key.draw == 7 for key in keys if key.index != 0)

    @pytest.mark.parametrize("world_size", [2, 4])
    def test_ranks_together_see_the_batch_of_one_process(self, world_size):
        whole = IdentitySampler(IDENTITIES, p=4, k=3, seed=5)
        ranks = [
            IdentitySampler(IDENTITIES, 4, 3, 5, rank=rank, world_size=world_size)
            for rank in range(world_size)
        ]
        for step in range(6):
            parts = [sampler.batch(step) for sampler in ranks]
            assert [key for part in parts for key in part] == whole.batch(step)
            assert all(len(part) == 12 // world_size for part in parts)

    def test_fewer_identities_than_p(self):
        with pytest.raises(
            DataError, match="needs 8 identities, but there are only 7 in 28 images"
        ):
            IdentitySampler(IDENTITIES, p=8, k=2, seed=0)

    def test_ranks_that_do_not_divide_p(self):
        with pytest.raises(ValueError, match="p is shared out over 2 ranks .*got p=3"):
            IdentitySampler(IDENTITIES, p=3, k=2, seed=0, world_size=2)

    def test_rank_out_of_bounds(self):
        with pytest.raises(ValueError, match="got rank 2 of 2"):
            IdentitySampler(IDENTITIES, p=2, k=2, seed=0, rank=2, world_size=2)

    @pytest.mark.parametrize("p, k", [(0, 2), (2, 0)])
    def test_p_and_k(self, p, k):
        with pytest.raises(ValueError, match=f"got p={p} and k={k}"):
            IdentitySampler(IDENTITIES, p=p, k=k, seed=0)

    def test_cameras_of_other_images(self):
        with pytest.raises(ValueError, match="28 identities but 2 cameras"):
            IdentitySampler(IDENTITIES, p=2, k=2, seed=0, cameras=[0, 1])


class TestShuffleSampler:
    def test_nothing_is_dropped(self):
        # 10 samples in batches of 4: five batches are two epochs, the third batch crosses
        sampler = ShuffleSampler(10, 4, seed=0)
        stream = [key.index for step in range(5) for key in sampler.batch(step)]
        assert sorted(stream[:10]) == sorted(stream[10:]) == list(range(10))
        assert stream[:10] != stream[10:]
        assert sampler.batches_per_epoch == 3

    def test_batch_depends_on_the_step_alone(self):
        sampler = ShuffleSampler(10, 4, seed=0)
        forward = [sampler.batch(step) for step in range(9)]
        assert [sampler.batch(step) for step in reversed(range(9))] == forward[::-1]

    def test_batch_larger_than_the_data_set(self):
        keys = ShuffleSampler(2, 6, seed=0).batch(3)
        assert Counter(key.index for key in keys) == {0: 3, 1: 3}
        assert len(set(keys)) == 6  # no copies: each repeat is another draw

    def test_ranks_together_see_the_batch_of_one_process(self):
        whole = ShuffleSampler(5, 6, seed=5)
        ranks = [ShuffleSampler(5, 6, 5, rank=rank, world_size=3) for rank in range(3)]
        for step in range(6):
            together = [key for sampler in ranks for key in sampler.batch(step)]
            assert together == whole.batch(step)

    def test_counts(self):
        with pytest.raises(ValueError, match="got 0 and 4"):
            ShuffleSampler(0, 4, seed=0)
        with pytest.raises(ValueError, match="multiple of it, got batch_size=4"):
            ShuffleSampler(10, 4, seed=0, world_size=3)


class TestStepBatchSampler:
    def test_resumes_where_a_run_was_cut(self):
        sampler = ShuffleSampler(10, 4, seed=0)
        whole = list(StepBatchSampler(sampler, 0, 8))
        again = ShuffleSampler(10, 4, seed=0)
        assert list(StepBatchSampler(again, 5, 8)) == whole[5:]
        assert len(StepBatchSampler(sampler, 5, 8)) == 3

    @pytest.mark.parametrize("start, stop", [(-1, 2), (3, 2)])
    def test_bounds(self, start, stop):
        with pytest.raises(ValueError, match=f"got {start} and {stop}"):
            StepBatchSampler(ShuffleSampler(10, 4, seed=0), start, stop)
